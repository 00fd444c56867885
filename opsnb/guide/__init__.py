"""Reads a runbook in Markdown and says, line by line, what in it cannot work, cannot fail, or contradicts itself."""
