"""Phases through papermill: which, in which order, journalled, reported."""
