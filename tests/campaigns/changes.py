"""A thousand random changes of a sealed archive: every one must be found, and its file named.

``python -m tests.campaigns.changes [N]``: single bytes changed, truncations, insertions, swaps, additions and removals.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evidence"))
import evidence_sample as sample
from test_seal import BO, NOW, TRUSTED, mutations, signature, whole

from opsnb.evidence import attestations
from opsnb.evidence.sealing import sign_off
from opsnb.evidence.verifying import Seal, verify

CHANGES, SEED = 1000, 20260117


def main(changes: int = CHANGES) -> int:
    """Prints the table; 1 where a change was missed, or found without the name of its file."""
    dice = random.Random(SEED)
    done: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="opsnb-changes-") as folder:
        deployment = whole(Path(folder) / "sealed")
        attestations.attest(deployment, "PRE-1.1", by="Anna Ek", role="director", statement="Seen.", now=sample.NOW)
        sign_off(deployment, signature(), now=NOW)
        sign_off(deployment, signature(BO, "Bo Lind", meaning="reviewed"), now=NOW + timedelta(hours=1))
        copy = Path(shutil.copytree(deployment.folder, Path(folder) / "a copy"))
        for _ in range(changes):
            name, change = mutations(copy, dice)
            kind = "a file that was added" if not (copy / name).exists() else Path(name).suffix or Path(name).name
            change()
            found = verify(copy, trusted=TRUSTED)
            done[kind] += 1
            missed[kind] += found.seal is not Seal.BROKEN or not any(name in finding.sentence for finding in found.findings)
            shutil.rmtree(copy)
            shutil.copytree(deployment.folder, copy)
        sound = verify(copy, trusted=TRUSTED).seal is Seal.GENUINE
    print(f"\nchanges of a sealed archive (n = {changes}, seed {SEED}); untouched it is {'genuine' if sound else 'NOT GENUINE'}\n")
    print("| kind of file | changes | missed or not named |\n|---|---|---|")
    for kind, number in done.most_common():
        print(f"| {kind} | {number} | {missed[kind]} |")
    return int(sum(missed.values()) > 0 or not sound)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else CHANGES))
