"""How bad a difference is, and who could be hurt by it: a table of rules.

An error is a difference that can leak (somebody reads, writes or runs what they should not: policies, row-level security, grants, owners,
SECURITY DEFINER, publications, public buckets) or break (what callers rely on is gone, of another type, unproved or switched off: columns,
constraints, triggers, bodies). That holds in both directions: a policy that became stricter breaks somebody. A warning is a difference by
itself harmless: something new that nobody reaches yet, speed, an extension's minor version. A property without a rule is an error: what
is not understood is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from opsnb.checks.drift.comparing import ADDED, CHANGED, REMOVED, Change

ERROR, WARNING = "error", "warning"
WORST_FIRST = (ERROR, WARNING)


class Rule(NamedTuple):
    """How bad, and a sentence; `gone` is the sentence where the property is off or absent now, if it is another."""

    severity: str
    hurts: str
    gone: str = ""


_CALLERS = "Callers that use it fail."
_RUNS = "It runs with every write to the table, and may change or refuse it."
_UNLOOKED = "New rows that break it are no longer refused: everybody who relies on the data."
_OWNER = "The owner may do everything with it and is not bound by its policies: somebody else is that now."

_ADDED: Mapping[str, Rule] = {
    "schema": Rule(WARNING, "Nobody by itself; look at what is in it."),
    "table": Rule(WARNING, "Nobody by itself; its rows are guarded or not granted."),
    "view": Rule(WARNING, "Nobody by itself; it is not granted, or reads with the caller's rights."),
    "materialised view": Rule(WARNING, "Nobody by itself; it is granted to nobody."),
    "column": Rule(WARNING, "Those who must not see it: grants and policies of the table hold for it as well."),
    "constraint": Rule(ERROR, "Writers: rows that were taken before may be refused."),
    "index": Rule(WARNING, "Nobody; writes take a little longer."),
    "trigger": Rule(ERROR, _RUNS),
    "rule": Rule(ERROR, "Statements on the relation may do something else than they say."),
    "policy": Rule(ERROR, "Those whose rows it opens: policies are joined with OR."),
    "enum": Rule(WARNING, "Nobody by itself."),
    "domain": Rule(WARNING, "Nobody by itself."),
    "composite type": Rule(WARNING, "Nobody by itself."),
    "range": Rule(WARNING, "Nobody by itself."),
    "sequence": Rule(WARNING, "Nobody by itself."),
    "extension": Rule(WARNING, "Whoever may not run the functions it brings: most are open to every role."),
    "publication": Rule(ERROR, "Those whose rows are sent to its subscribers now."),
    "published table": Rule(ERROR, "Those whose rows of this table are sent to subscribers now."),
    "event trigger": Rule(ERROR, "Migrations: it runs with commands that change the schema, and may change or refuse them."),
    "default privileges": Rule(ERROR, "Those whose data the next object made will hold: it is born with these grants."),
    "bucket": Rule(WARNING, "Nobody while it is not public; its policies are looked at apart."),
    "role": Rule(ERROR, "Everybody with rows here: this role owns or holds something, and reads past every policy."),
}
_REMOVED: Mapping[str, Rule] = {
    "policy": Rule(ERROR, "Those it let in find nothing; were it restrictive, those it kept out come in."),
    "constraint": Rule(ERROR, _UNLOOKED),
    "index": Rule(WARNING, "Callers whose queries used it wait longer."),
    "trigger": Rule(ERROR, "What it kept up to date or refused is left to chance."),
    "rule": Rule(ERROR, "Statements on the relation may do something else than they did."),
    "default privileges": Rule(ERROR, "Callers of the next object made: it is born without these grants."),
    "event trigger": Rule(ERROR, "What it did to new objects (often: row-level security on) is no longer done."),
    "publication": Rule(ERROR, "Its subscribers: they get nothing any more."),
    "published table": Rule(ERROR, "Subscribers: changes of this table no longer arrive."),
    "bucket": Rule(ERROR, "Everybody whose files are in it."),
    "extension": Rule(ERROR, "Callers of the functions and types it brought."),
}
_OPEN_TABLE = Rule(ERROR, "Everybody with rows in it: row-level security is off, and these roles hold grants.")
_OPEN_VIEW = Rule(ERROR, "Those whose rows it shows: it reads with its owner's rights, past the policies of the tables under it.")
_OPEN_COPY = Rule(ERROR, "Those whose rows it holds: a materialised view has no policies.")
_OPEN_BUCKET = Rule(ERROR, "Everybody with files in it: who knows a name gets the file.")
_DEFINER = Rule(ERROR, "Those whose rows it touches: it runs with its owner's rights, past policies.")
_RESTRICTIVE = Rule(ERROR, "Those who need these rows: a restrictive policy takes away.")
_UNIQUE = Rule(ERROR, "Everybody who relies on the values being unique: duplicates are taken now.", "")
_NEWLY_UNIQUE = Rule(ERROR, "Writers: values that were taken before are refused.")
_REQUIRED = Rule(ERROR, "Writers that do not name it: their rows are refused.")

# (kind, property); `*` is any kind
_CHANGED: Mapping[tuple[str, str], Rule] = {
    ("*", "owner"): Rule(ERROR, _OWNER),
    ("*", "grants"): Rule(ERROR, "Those whose data this role reaches now.", "Callers with this role: they are refused."),
    ("table", "rls"): Rule(ERROR, "Callers without a policy: they find no row.", "Everybody with rows in it: no policy holds any more."),
    ("table", "rls_forced"): Rule(ERROR, "The owner's own statements: policies hold for them now.",
                                  "Everybody with rows in it: policies no longer hold for the owner, nor in what runs as the owner."),
    ("table", "unlogged"): Rule(ERROR, "Everybody with rows in it: a crash empties the table, and standbys do not have it.",
                                "Nobody; writes take longer."),
    ("table", "replica_identity"): Rule(WARNING, "Subscribers: what an update or a delete tells them is different."),
    ("table", "partition_of"): Rule(ERROR, "Readers of the parent: these rows are in it now.", "Readers of the parent: rows are missing."),
    ("table", "inherits"): Rule(ERROR, "Readers of the parent: these rows are in it now.", "Readers of the parent: rows are missing."),
    ("table", "bound"): Rule(ERROR, "Writers whose rows find no partition; readers of the parent, whose rows are others."),
    ("table", "partition_by"): Rule(ERROR, "Writers whose rows find no partition."),
    ("table", "form"): Rule(ERROR, "Callers: it is another sort of table."),
    ("table", "server"): Rule(ERROR, "Readers and writers: the rows are kept elsewhere."),
    ("table", "options"): Rule(WARNING, "Nobody by itself: how the table is stored and cleaned."),
    ("view", "definition"): Rule(ERROR, "Whoever reads it gets other rows or columns; those whose rows it shows now."),
    ("materialised view", "definition"): Rule(ERROR, "Whoever reads it gets other rows or columns; those whose rows it holds now."),
    ("column", "type"): Rule(ERROR, "Callers that send or expect the former type; values may have been cut or rounded."),
    ("column", "not_null"): Rule(ERROR, "Writers that leave it out: their rows are refused.",
                                 "Readers that rely on a value: rows may lack it."),
    ("column", "default"): Rule(ERROR, "Writers that leave it out: their rows get another value.",
                                "Writers that leave it out: their rows get no value, or are refused."),
    ("column", "identity"): Rule(ERROR, "Writers: who gives the value, they or the database, is different."),
    ("column", "generated"): Rule(ERROR, "Readers: the column holds something else than it did."),
    ("column", "collation"): Rule(ERROR, "Readers: the order, and what counts as equal, is different."),
    ("constraint", "definition"): Rule(ERROR, "Writers whose rows are refused now, or readers who rely on what was refused before."),
    ("constraint", "type"): Rule(ERROR, "Writers whose rows are refused now, or readers who rely on what was refused before."),
    ("constraint", "not_valid"): Rule(ERROR, "Readers: older rows may break it, nobody has looked.", "Nobody; every row was looked at."),
    ("constraint", "triggers_off"): Rule(ERROR, "Readers: rows may point to nothing, the foreign key is no longer looked at.",
                                         "Nobody from now on; rows written meanwhile may point to nothing."),
    ("index", "invalid"): Rule(ERROR, "Callers wait longer: no query uses it; if it is unique, duplicates may be there."),
    ("index", "definition"): Rule(WARNING, "Callers whose queries used it may wait longer."),
    ("index", "table"): Rule(WARNING, "Callers whose queries used it may wait longer."),
    ("function", "security_definer"): Rule(ERROR, _DEFINER.hurts, "Callers: it runs with their rights now and may be refused."),
    ("function", "search_path"): Rule(ERROR, "Callers: names in it may mean something else.",
                                      "Those whose rows it touches: a caller decides what the names in it mean."),
    ("function", "body_sha256"): Rule(ERROR, "Every caller: it does something else than what was looked at."),
    ("function", "arguments"): Rule(ERROR, "Callers that name arguments or leave them out."),
    ("function", "returns"): Rule(ERROR, "Callers: the answer has another shape."),
    ("function", "volatility"): Rule(ERROR, "Callers: results may be old, or a read-only request may be refused."),
    ("function", "strict"): Rule(ERROR, "Callers that pass NULL: they get another answer; in a policy that lets in or keeps out."),
    ("function", "parallel"): Rule(WARNING, "Nobody by itself; queries that call it may be slower or faster."),
    ("function", "leakproof"): Rule(ERROR, "Those whose rows it is asked about: it runs before policies have filtered.",
                                    "Callers may wait longer: it runs after policies have filtered."),
    ("function", "settings"): Rule(ERROR, "Every caller: it runs under other settings."),
    ("function", "language"): Rule(ERROR, "Every caller: it was written anew."),
    ("trigger", "enabled"): Rule(ERROR, "Everybody who relies on what it does: when it runs is different."),
    ("trigger", "definition"): Rule(ERROR, "Everybody who relies on what it does: when it runs, or what, is different."),
    ("event trigger", "enabled"): Rule(ERROR, "Everybody who relies on what it does to new objects."),
    ("policy", "restrictive"): Rule(ERROR, "Those who need these rows: it takes away instead of letting in.",
                                    "Those whose rows it opens: it lets in instead of taking away."),
    ("policy", "command"): Rule(ERROR, "Those whose rows it opens, or those it let in: it holds for other statements."),
    ("policy", "roles"): Rule(ERROR, "Those whose rows it opens, or those it let in: it holds for other roles."),
    ("policy", "using"): Rule(ERROR, "Those whose rows it lets somebody else see or change now, or those it let in before."),
    ("policy", "check"): Rule(ERROR, "Those in whose name somebody else may write now, or those who could write before."),
    ("enum", "labels"): Rule(ERROR, "Callers that send or expect a label that is gone, renamed or in another place."),
    ("domain", "type"): Rule(ERROR, "Callers that send or expect the former type."),
    ("domain", "not_null"): Rule(ERROR, "Writers that send no value.", "Readers that rely on a value."),
    ("domain", "default"): Rule(ERROR, "Writers that leave it out: their rows get another value."),
    ("composite type", "attributes"): Rule(ERROR, "Callers that send or expect the former attributes."),
    ("sequence", "owned_by"): Rule(WARNING, "Nobody by itself: it stays or goes with another column."),
    ("sequence", "cache"): Rule(WARNING, "Nobody; numbers may have gaps."),
    ("sequence", "cycle"): Rule(ERROR, "Writers: numbers come again after the last, and meet those that are there.",
                                "Writers: after the last number they are refused."),
    ("extension", "schema"): Rule(ERROR, "Callers of what it brought, by its former schema."),
    ("publication", "all_tables"): Rule(ERROR, "Everybody: the rows of every table are sent to subscribers.",
                                        "Subscribers: tables that are not named no longer arrive."),
    ("published table", "columns"): Rule(ERROR, "Those whose columns are sent now; subscribers that miss some."),
    ("published table", "rows"): Rule(ERROR, "Those whose rows are sent now; subscribers that miss some."),
    ("bucket", "public"): Rule(ERROR, _OPEN_BUCKET.hurts, "Everybody who has a public link: it leads nowhere."),
    ("bucket", "size_limit"): Rule(WARNING, "Those who send larger files, or pay for them."),
    ("bucket", "mime_types"): Rule(WARNING, "Those who send other kinds of files, or open what was sent."),
    ("role", "superuser"): Rule(ERROR, "Everybody: nothing holds for a superuser.", "What runs as this role may be refused."),
    ("role", "bypasses_rls"): Rule(ERROR, "Everybody with rows here: no policy holds for this role.",
                                     "What runs as this role finds fewer rows."),
    ("role", "member_of"): Rule(ERROR, "Those whose data the roles it is in reach; callers that needed one it left."),
}  # fmt: skip
_ROUTINES = ("function", "procedure", "aggregate", "window function")
_UNNAMED = Rule(ERROR, "Not known by a rule: look at it.")


def judged(change: Change) -> Rule:
    """The rule for *change*; `hurts` is the sentence to show."""
    rule = {ADDED: _of_added, REMOVED: _of_removed, CHANGED: _of_changed}[change.change](change)
    gone = change.change == CHANGED and change.is_ in (None, False, "", {}, [])
    return rule._replace(hurts=rule.gone) if gone and rule.gone else rule


def _of_added(change: Change) -> Rule:
    said, kind = change.after, "function" if change.kind in _ROUTINES else change.kind
    others = bool(set(said.get("grants", {})) - {"(owner)"})
    special: tuple[tuple[bool, Rule], ...] = (
        (kind == "table" and others and not said.get("rls"), _OPEN_TABLE),
        (kind == "view" and others and "security_invoker=true" not in said.get("options", ""), _OPEN_VIEW),
        (kind == "materialised view" and others, _OPEN_COPY),
        (kind == "function" and bool(said.get("security_definer")), _DEFINER),
        (kind == "function", Rule(WARNING, "Nobody by itself; it runs with its caller's rights.")),
        (kind == "policy" and bool(said.get("restrictive")), _RESTRICTIVE),
        (kind == "bucket" and bool(said.get("public")), _OPEN_BUCKET),
        (kind == "index" and _unique(said), _NEWLY_UNIQUE),
        (kind == "column" and "not_null" in said and not {"default", "identity", "generated"} & set(said), _REQUIRED),
    )
    return next((rule for holds, rule in special if holds), _ADDED.get(kind, _UNNAMED))


def _of_removed(change: Change) -> Rule:
    if change.kind == "index" and _unique(change.before):
        return _UNIQUE
    return _REMOVED.get(change.kind, Rule(ERROR, _CALLERS))


def _of_changed(change: Change) -> Rule:
    kind = "function" if change.kind in _ROUTINES else change.kind
    what = "grants" if change.what.startswith("grants ") else change.what
    rule = _CHANGED.get((kind, what)) or _CHANGED.get(("*", what)) or _by_kind(kind)
    if kind == "index" and (_unique(change.before) or _unique(change.after)):
        if _unique(change.before) and _unique(change.after):
            return Rule(ERROR, "Writers whose values are refused now, or readers who rely on what was unique before.")
        return _NEWLY_UNIQUE if _unique(change.after) else _UNIQUE
    if what == "options" and kind in ("view", "materialised view"):
        return _of_options(change)
    if kind == "extension" and what == "version":
        same = str(change.was).split(".")[0] == str(change.is_).split(".")[0]
        return Rule(WARNING if same else ERROR, "Nobody by itself." if same else "Callers: another major version may behave otherwise.")
    return rule


def _by_kind(kind: str) -> Rule:
    harmless = {"sequence": Rule(WARNING, "Writers that count on the former numbers."), "role": Rule(WARNING, "Nobody by itself.")}
    return harmless.get(kind, _UNNAMED if kind not in ("publication", "event trigger", "range", "rule") else Rule(ERROR, _CALLERS))


def _of_options(change: Change) -> Rule:
    """A view that ceases to read with its caller's rights, or to keep its rows behind its own conditions, leaks."""

    def options(said: Any) -> dict[str, str]:
        return dict(re.findall(r"(security_\w+|check_option)=(\w+)", str(said or "")))

    was, is_ = options(change.was), options(change.is_)
    if was.get("security_invoker") != is_.get("security_invoker"):
        if is_.get("security_invoker") == "true":
            return Rule(ERROR, "Callers: the view reads with their rights now, and may find fewer rows.")
        return _OPEN_VIEW
    return Rule(ERROR, "Those whose rows the view's conditions kept back.") if was != is_ else Rule(WARNING, "Nobody by itself.")


def _unique(said: Mapping[str, Any]) -> bool:
    return str(said.get("definition", "")).startswith("CREATE UNIQUE")
