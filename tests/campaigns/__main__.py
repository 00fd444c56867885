"""``make evidence-campaign``: what is changed, what strangers write, what is killed, what must not leave. 1 where a table is bad."""

from __future__ import annotations

from tests.campaigns import changes, hostile, kills, leaving

if __name__ == "__main__":
    raise SystemExit(max(changes.main(), hostile.main(), kills.main(), leaving.main()))
