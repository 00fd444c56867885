"""Phases for many environments: each target in a process of its own, one roll-up page, resumable."""
