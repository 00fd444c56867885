"""What stands beside database and platform, tried without changing it: openEHR, AWS, the feature's switch, the dead man's switch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from opsnb.config import Environment, Release, text_of
from opsnb.errors import SourceError
from opsnb.firstday.finding import Finding
from opsnb.sources import Absent, Doors, Postgres, rows, switching


def openehr(doors: Doors, environment: Environment, release: Release) -> Iterator[Finding]:
    """One GET of the server the functions talk to, where the release names one."""
    rule = release.openehr
    if rule is None:
        return
    if isinstance(doors.openehr, Absent):
        yield Finding("openEHR", "note", f"the release asks for it ({rule.variable}), and {environment.name} names no openehr.url")
        return
    reached = doors.openehr.reachable(rule.path)
    if reached.error is not None:
        yield Finding("openEHR", "broken", str(reached.error), "look at openehr.url: the address the functions use, with its base path")
        return
    row = reached.table.iloc[0]
    status = int(row["status"])
    if row["elsewhere"] or (row["page"] and 200 <= status < 300):
        what = "sends its callers elsewhere" if row["elsewhere"] else f"answers {status} with a web page"
        yield Finding("openEHR", "broken", what, "something else stands at openehr.url: a proxy, a sign-in form; name the API itself")
    elif status not in rule.statuses:
        yield Finding("openEHR", "broken", f"answers {status}; the release expects {', '.join(map(str, rule.statuses))}",
                      "look at openehr.url and the release's openehr.path")  # fmt: skip
    else:
        yield Finding("openEHR", "well", f"answers {status} in {row['seconds']:.2f} s")


def aws(doors: Doors, environment: Environment, release: Release, root: Path) -> Iterator[Finding]:
    """The role the functions assume, asked as the release says."""
    rule, said = release.aws, environment.aws
    if rule is None:
        return
    if said is None or said.role_arn is None or isinstance(doors.aws, Absent):
        yield Finding("AWS role", "note", f"the release asks for it ({rule.variable}), and {environment.name} names no aws.role_arn")
        return
    found = doors.aws.role(said.role_arn.resolve(root), ask=rule.ask)
    if found.error is not None:
        yield Finding("AWS role", "broken", str(found.error), "aws.region, and the credentials that boto3 finds here")
        return
    row = found.table.iloc[0]
    yield Finding("AWS role", "well" if row["ok"] else "broken", str(row["finding"]), "" if row["ok"] else "look at aws.role_arn")


def switch(doors: Doors, release: Release, root: Path) -> Iterator[Finding]:
    """Where a rollback would switch the feature off: looked at, not touched."""
    spec = release.actions.rollback
    if spec.switch is not None:
        yield _row(doors.database, spec.switch.table, list(spec.switch.set), spec.switch.where)
    elif spec.call is not None:
        yield from _call(release, root)
    elif spec.command is not None:
        words = [spec.command.run[0], *spec.command.proof[:1]]
        missing = [word for word in words if not _runs(word)]
        if missing:
            mend = "name a program that is there, in actions.rollback.command"
            yield Finding("feature's switch", "broken", f"{missing[0]} cannot be run on this machine", mend)
        else:
            unproved = "" if spec.command.proof else "; no proof is named, so nobody will know whether it is off"
            yield Finding("feature's switch", "well" if spec.command.proof else "warning", f"{words[0]} can be run{unproved}",
                          "" if spec.command.proof else "add actions.rollback.command.proof")  # fmt: skip
    else:
        yield Finding("feature's switch", "note", "none that opsnb can reach: a person switches the feature off and attests it")


def _row(database: Postgres, table: str, columns: list[str], where: dict[str, str]) -> Finding:
    named = ", ".join(f"{column} = {value}" for column, value in where.items())
    facts = rows.there(database, table, columns=columns, where=where)
    mend = "look at actions.rollback.switch of the release: table, set, where"
    if facts.error is not None:
        return Finding("feature's switch", "broken", str(facts.error), mend)
    if facts.table.empty:
        return Finding("feature's switch", "broken", f"{table} has no row where {named}: a rollback could not switch anything off", mend)
    return Finding("feature's switch", "well", f"{table} has the row where {named}; it was not touched")


def _call(release: Release, root: Path) -> Iterator[Finding]:
    call = release.actions.rollback.call
    if call is None:
        return
    if call.proof is None:
        yield Finding("feature's switch", "warning", "a call without a proof: nobody will know whether it is off",
                      "add actions.rollback.call.proof: an address and a field that tell the feature's state")  # fmt: skip
        return
    headers = {name: text_of(value, root) for name, value in call.headers.items()}
    try:
        switching.reads(text_of(call.proof.url, root), headers=headers, field=call.proof.field, timeout_s=call.timeout_s)
    except SourceError as error:
        yield Finding("feature's switch", "broken", str(error), "look at actions.rollback.call.proof: url and field")
        return
    yield Finding("feature's switch", "well", f"the service tells {call.proof.field}; nothing was switched")


def _runs(program: str) -> bool:
    return bool(shutil.which(program)) and os.access(shutil.which(program) or "", os.X_OK)


def heartbeat(environment: Environment, root: Path) -> Iterator[Finding]:
    """The address of the dead man's switch; it is not pinged, since a ping says that the monitoring lives."""
    if environment.heartbeat is None:
        yield Finding("dead man's switch", "note", "none is named: if this machine is gone, nobody is told (heartbeat)")
        return
    try:
        url = urlsplit(environment.heartbeat.resolve(root).get_secret_value().strip())
        whole = url.scheme in ("http", "https") and bool(url.hostname)
    except ValueError:
        whole = False
    if whole:
        yield Finding("dead man's switch", "well", f"an address at {url.hostname}; it was not pinged")
    else:
        yield Finding("dead man's switch", "broken", "it is no address", "expected https://…, as the service shows it")
