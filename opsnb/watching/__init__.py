"""Twenty-four hours unattended: what is owed when, who is at it, what was done, and what a person is told."""
