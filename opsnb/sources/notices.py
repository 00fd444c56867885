"""The door to people: messages to the addresses an environment names, over Apprise."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import pandas as pd
from pydantic import SecretStr

from opsnb.errors import SourceError
from opsnb.facts import asked

SOURCE = "notices"
COLUMNS = ("place", "kind", "delivered")


@asked(SOURCE)
def send(addresses: Sequence[tuple[str, SecretStr]], *, title: str, body: str) -> tuple[str, pd.DataFrame]:
    """One row per address: COLUMNS. *addresses* are (reference, Apprise URL); a URL is a secret and is neither shown nor logged.

    An address that is no Apprise URL, or that did not take the message, is a row that was not delivered.
    """
    # its own log names the URLs it sends to
    logging.getLogger("apprise").disabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of modules that its plugins import
        rows = [(place, *_handed_over(place, address, title, body)) for place, address in addresses]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"place": "string", "kind": "string", "delivered": "boolean"})
    return f"message {title!r} to {len(addresses)} addresses", table


def unknown(addresses: Sequence[tuple[str, SecretStr]]) -> list[str]:
    """The references among *addresses* whose value is no address of a known kind. Nothing is sent."""
    import apprise

    logging.getLogger("apprise").disabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = [(place, apprise.Apprise.instantiate(address.get_secret_value(), suppress_exceptions=True)) for place, address in addresses]
    return [place for place, target in found if target is None]


def _handed_over(place: str, address: SecretStr, title: str, body: str) -> tuple[str, bool]:
    """Kind of the address, and whether it took the message."""
    import apprise

    try:
        target = apprise.Apprise.instantiate(address.get_secret_value(), suppress_exceptions=True)
        delivered = target is not None and bool(target.notify(title=title, body=body))
    except Exception as error:  # plugins raise what they like, and may quote the address
        raise SourceError(f"{place}: the message could not be handed over ({type(error).__name__})", source=SOURCE) from None
    return str(getattr(target, "service_name", "") or "no address of a known kind"), delivered
