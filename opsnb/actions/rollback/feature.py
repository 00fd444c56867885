"""The first step back: the app's new behaviour is switched off, by a row, a call or a command, and looked at where that is possible."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from opsnb.actions.rollback.plan import FEATURE, Step
from opsnb.config import text_of
from opsnb.config.rollback import CallProof, CallSwitch, CommandSwitch, RollbackSpec, Switch
from opsnb.errors import ActionFailed, SourceError
from opsnb.sources import backup, switching

UNKNOWN = "the process was stopped while it was switched off, and nothing tells whether it is: look, then attest RB-1"


class Feature(Protocol):
    """One way to switch off. `again`: the step was begun before and did not end."""

    def plan(self) -> Step:
        """What it would do."""

    def off(self, said: dict[str, Any], *, again: bool) -> None:
        """Does it, and says what it did. ActionFailed where it could not, or was not."""


def feature(spec: RollbackSpec, *, root: Path, write_dsn: Any) -> Feature:
    """The way that *spec* names. *write_dsn* answers the writing connection when it is needed."""
    if spec.switch is not None:
        return _Row(spec.switch, write_dsn)
    if spec.call is not None:
        return _Call(spec.call, root)
    if spec.command is not None:
        return _Command(spec.command)
    return _ByHand()


@dataclass(frozen=True)
class _ByHand:
    def plan(self) -> Step:
        return Step(FEATURE, "the app's switch is none that opsnb can reach: attest RB-1", "by hand", by_hand=True)

    def off(self, said: dict[str, Any], *, again: bool) -> None:
        del again
        said["by_hand"] = True


@dataclass(frozen=True)
class _Row:
    switch: Switch
    write_dsn: Any

    def plan(self) -> Step:
        values = ", ".join(f"{column} = {value}" for column, value in self.switch.set.items())
        where = ", ".join(f"{column} = {value}" for column, value in self.switch.where.items())
        return Step(FEATURE, f"sets {values} in {self.switch.table} where {where}", "the old value, kept in the journal")

    def off(self, said: dict[str, Any], *, again: bool) -> None:
        del again  # a row is set as often as one likes
        schema, _, name = self.switch.table.partition(".")
        dsn: SecretStr = self.write_dsn()
        before = backup.write_row(dsn, table=(schema, name), values=dict(self.switch.set), where=dict(self.switch.where))
        if before is None:  # the rows bring the table back: then
            said["postponed"] = True
            return
        if not before:
            raise ActionFailed(f"{self.switch.table} has no row where {dict(self.switch.where)}: the feature was not switched off.")
        said.update(rows=len(before), was=before)


@dataclass(frozen=True)
class _Call:
    call: CallSwitch
    root: Path

    def plan(self) -> Step:
        where = urlsplit(text_of(self.call.url, self.root)).netloc.rpartition("@")[2]
        proof = "" if self.call.proof else "; nothing tells whether it worked: attest RB-1"
        return Step(FEATURE, f"sends {self.call.method} to {where}{proof}", "the same service, by hand")

    def off(self, said: dict[str, Any], *, again: bool) -> None:
        proof = self.call.proof
        if proof is not None and self._is_off(proof):
            said.update(proved=True, already=True)
            return
        if again and proof is None and self.call.method != "PUT":
            said.update(by_hand=True, uncertain=UNKNOWN)
            return
        spec = self.call
        try:
            said["status"] = switching.call(
                spec.method, text_of(spec.url, self.root), headers=self._headers(), body=spec.body, status=spec.status,
                timeout_s=spec.timeout_s,
            )  # fmt: skip
        except SourceError as error:
            raise ActionFailed(f"The feature may or may not be switched off: {error}. Look at the service before you go on.") from None
        _prove(said, None if proof is None else self._is_off(proof))

    def _is_off(self, proof: CallProof) -> bool:
        try:
            now = switching.reads(text_of(proof.url, self.root), headers=self._headers(), field=proof.field, timeout_s=self.call.timeout_s)
        except SourceError as error:
            raise ActionFailed(f"Whether the feature is off could not be read: {error}.") from None
        return type(now) is type(proof.equals) and bool(now == proof.equals)

    def _headers(self) -> dict[str, str]:
        return {name: text_of(value, self.root) for name, value in self.call.headers.items()}


@dataclass(frozen=True)
class _Command:
    command: CommandSwitch

    def plan(self) -> Step:
        proof = "" if self.command.proof else "; nothing tells whether it worked: attest RB-1"
        return Step(FEATURE, f"runs {Path(self.command.run[0]).name} ({len(self.command.run) - 1} arguments){proof}", "by hand")

    def off(self, said: dict[str, Any], *, again: bool) -> None:
        proof = self.command.proof
        if proof and self._ends(proof) == 0:
            said.update(proved=True, already=True)
            return
        if again and not proof:
            said.update(by_hand=True, uncertain=UNKNOWN)
            return
        said["exit_code"] = code = self._ends(self.command.run)
        if code != 0:
            raise ActionFailed(f"{Path(self.command.run[0]).name} ended with {code}: the feature may or may not be switched off.")
        _prove(said, None if not proof else self._ends(proof) == 0)

    def _ends(self, words: tuple[str, ...]) -> int:
        try:
            return switching.run(words, timeout_s=self.command.timeout_s)
        except SourceError as error:
            raise ActionFailed(f"The feature may or may not be switched off: {error}.") from None


def _prove(said: dict[str, Any], is_off: bool | None) -> None:
    if is_off is False:
        raise ActionFailed("What switches the feature off said that it did, and it is on: look at the service before you go on.")
    said.update(proved=True) if is_off else said.update(by_hand=True, uncertain="nothing tells whether it worked: look, then attest RB-1")
