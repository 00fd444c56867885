"""Files that people write for a sign-off: many attestations at once, and the signers whose keys are trusted."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from opsnb.config.documents import read
from opsnb.config.limits import Model
from opsnb.config.mistakes import mistakes_of, with_nearest
from opsnb.config.schema import ItemId, once
from opsnb.errors import ConfigError, UsageError
from opsnb.runbook import ITEMS

M = TypeVar("M", bound=Model)
Meaning = Literal["performed", "reviewed", "approved", "refused"]


class SaidOfItem(Model):
    """One statement of a file. `document` is a path beside the file; `evidence` the digest of what was looked at."""

    item: ItemId
    by: str = ""
    role: str = ""
    statement: str
    meaning: Meaning = "approved"
    document: str = ""
    expires: date | None = None
    evidence: str = ""


class StatementFile(Model):
    """A file for ``opsnb attest --file``: `by` and `role` hold for every statement that names none."""

    by: str = ""
    role: str = ""
    statements: tuple[SaidOfItem, ...] = Field(min_length=1)


class Signer(Model):
    """One person whose signature counts: the public key (PEM, or ``file:PATH`` beside the file), and from when it no longer does."""

    name: str
    key: str
    revoked: date | None = None
    reason: str = ""


class SignerFile(Model):
    """parameters/signers.yaml, or any file for ``opsnb verify --signers``."""

    signers: tuple[Signer, ...] = Field(min_length=1)


def read_statements(path: Path) -> tuple[SaidOfItem, ...]:
    """The statements of *path*, each with its person. Raises ConfigError naming file, line, key and expectation."""
    file = _read(StatementFile, path)
    whole = tuple(each.model_copy(update={"by": each.by or file.by, "role": each.role or file.role}) for each in file.statements)
    for number, each in enumerate(whole):
        if each.item not in ITEMS:
            said = with_nearest(each.item, [*ITEMS])
            raise UsageError(f"{path}: statements.{number}.item: expected an item of the runbook, found {said}")
        for key in ("by", "role"):
            if not getattr(each, key).strip():
                raise UsageError(f"{path}: statements.{number}.{key} ({each.item}): expected who says so, here or at the top of the file")
    try:
        once([f"{each.item} by {each.by} ({each.meaning})" for each in whole])
    except ValueError as error:
        raise UsageError(f"{path}: statements: {error}") from None
    return whole


def read_signers(path: Path) -> tuple[Signer, ...]:
    """The trusted signers of *path*, their keys as PEM. Raises ConfigError or UsageError."""
    found = []
    for number, signer in enumerate(_read(SignerFile, path).signers):
        pem = signer.key
        if pem.startswith("file:"):
            place = path.parent / pem.removeprefix("file:")
            try:
                pem = place.read_text(encoding="ascii")
            except (OSError, UnicodeDecodeError):
                raise UsageError(f"{path}: signers.{number}.key: {place} cannot be read; expected a public key in PEM") from None
        if "PUBLIC KEY-----" not in pem:
            raise UsageError(f"{path}: signers.{number}.key ({signer.name}): expected a public key in PEM, or file:PATH to one")
        found.append(signer.model_copy(update={"key": pem}))
    return tuple(found)


def _read(model: type[M], path: Path) -> M:
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    document = read(path, str(path))
    mistakes = [*document.mistakes]
    try:
        loaded = model.model_validate(document.data)
    except ValidationError as error:
        mistakes += mistakes_of(error, model, document)
    if mistakes:
        in_order = sorted(mistakes, key=lambda mistake: mistake.line or 0)
        raise ConfigError("\n".join(dict.fromkeys(str(mistake) for mistake in in_order)))
    return loaded
