"""The SQL of the role that may only read, as it is shipped."""

from __future__ import annotations

from importlib.resources import files


def role_sql() -> str:
    """The text of opsnb/sql/roles/opsnb_reader.sql, for review before anybody runs it."""
    return (files("opsnb") / "sql" / "roles" / "opsnb_reader.sql").read_text(encoding="utf-8")
