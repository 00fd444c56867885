"""The only code that changes a target: plan first, then apply."""
