"""The rows a cleanup deletes or changes, as they were before it: one file, encrypted, from which an undo puts them back exactly.

Layout: a line that says what it is, a line of JSON (tables, columns, counts, hashes), then each table's rows in COPY's text format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from opsnb.actions.cleanup.closure import Found
from opsnb.errors import ActionRefused
from opsnb.sources.writing import Ids, Keys, Table, Transaction, size

_FIRST_LINE = b"opsnb before-image 1\n"


@dataclass
class Kept:
    """Rows of one table. `group`: tables of one number are restored in one statement, the highest number first.

    `digest` is a hash of the rows as they were, `after` of rows that stay as the cleanup left them.
    """

    table: str
    what: str
    group: int
    columns: list[str]
    types: list[str]
    key: list[str]
    rows: int
    digest: str
    after: str = ""
    size: int = 0
    content: bytes = field(default=b"", repr=False)


@dataclass
class Image:
    """A before-image. `about` names environment, deployment, database and time."""

    about: dict[str, str]
    tables: list[Kept]

    @property
    def rows(self) -> int:
        """How many rows in all."""
        return sum(kept.rows for kept in self.tables)

    def pack(self) -> bytes:
        """The image as the content of a file."""
        header = {**self.about, "tables": [{k: v for k, v in asdict(kept).items() if k != "content"} for kept in self.tables]}
        return _FIRST_LINE + json.dumps(header).encode() + b"\n" + b"".join(kept.content for kept in self.tables)


def unpack(content: bytes) -> Image:
    """The image in *content*; ActionRefused where it is none, or one of another version."""
    header, _, rows = content.removeprefix(_FIRST_LINE).partition(b"\n")
    if not content.startswith(_FIRST_LINE):
        raise ActionRefused("The file holds no before-image of this version. Nothing was changed.")
    said: dict[str, Any] = json.loads(header)
    tables, place = [], 0
    for each in said.pop("tables"):
        kept = Kept(**each)
        kept.content, place = rows[place : place + kept.size], place + kept.size
        tables.append(kept)
    if place != len(rows):
        raise ActionRefused("The before-image is not whole. Nothing was changed.")
    return Image(said, tables)


def take(transaction: Transaction, found: Found) -> Image:
    """The rows of *found* as they are now; to be taken before anything is changed."""
    image = Image({}, [])
    for oid, ids in sorted(found.changed.items(), key=lambda item: item[0]):
        image.tables.append(_kept(transaction, transaction.catalog.table(oid), ids, "changed", 0))
    for number, group in enumerate(found.order, start=1):
        image.tables += [_kept(transaction, table, found.deleted[table.oid], "deleted", number) for table in group]
    return image


def note_after(transaction: Transaction, image: Image, changed: Sequence[tuple[Table, Keys]]) -> None:
    """Adds how the rows that stay look now: an undo refuses to overwrite what somebody changed since."""
    left = {table.name: (table, keys) for table, keys in changed}
    for kept in image.tables:
        if kept.what == "changed":
            table, keys = left[kept.table]
            kept.after = transaction.digest(table, keys, kept.columns)


def _kept(transaction: Transaction, table: Table, ids: Ids, what: str, group: int) -> Kept:
    columns = [column.name for column in table.columns]
    content = transaction.copy_out(table, ids, columns)
    return Kept(
        table=table.name,
        what=what,
        group=group,
        columns=columns,
        types=[column.type for column in table.columns],
        key=list(table.key),
        rows=size(ids),
        digest=transaction.digest(table, transaction.keys(table, ids), columns),
        size=len(content),
        content=content,
    )
