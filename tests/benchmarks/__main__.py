"""``make bench``: every benchmark in turn. Ratios, not seconds; each says n, medians and what must hold. Exit code 1 where one does not."""

from __future__ import annotations

from tests.benchmarks import archived, catalogue, fleet, proofs, runbook, wayback

if __name__ == "__main__":
    raise SystemExit(max(runbook.main(), catalogue.main(), proofs.main(), archived.main(), fleet.main(), wayback.main()))
