"""The dead man's switch: a service that tells people when it is not told that all is well (Healthchecks and what speaks like it)."""

from __future__ import annotations

import pandas as pd
from pydantic import SecretStr

from opsnb.errors import SourceError
from opsnb.facts import asked
from opsnb.sources.http import Http

SOURCE = "heartbeat"


@asked(SOURCE)
def ping(address: SecretStr, *, well: bool, timeout_s: float = 10) -> tuple[str, pd.DataFrame]:
    """Says that the schedule was looked at, and whether all is well (else with ``/fail``). One row: told. The address is a secret."""
    suffix = "" if well else "/fail"
    door = Http(address.get_secret_value().rstrip("/"), source=SOURCE, timeout_s=timeout_s)
    try:
        status = door.request("POST", suffix).status_code
    finally:
        door.close()
    if status != 200:
        # its answer may repeat the address, which is a secret
        raise SourceError(f"{door.where} answered {status} to the ping; look at the environment's heartbeat", source=SOURCE)
    return f"ping{suffix}", pd.DataFrame({"told": [True]})
