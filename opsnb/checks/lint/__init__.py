"""Reads policies, views and functions for what they let through, on syntax trees.

`trees` asks a tree, `database` looks names up, `helpers` puts the bodies of helper functions where policies call them. Rules by subject:
`openings` (how far a policy reaches, for reading and writing), `unknown_caller` (three-valued logic without an identity), `subjects`
(identifiers), `recursion`, `authority` (what its own subject may change), `doors` (views, functions, publications, buckets).
"""

from opsnb.checks.lint.verdict import no_excess

__all__ = ["no_excess"]
