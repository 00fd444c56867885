"""Keeping logs: a local archive of what the platform forgets."""
