"""Policies that reach further than their caller, for reading and for writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp

from opsnb.checks.lint import helpers, recursion, subjects, trees
from opsnb.checks.lint.database import COMMANDS, Database, Name, Policy, written
from opsnb.checks.lint.findings import ERROR, NOTE, WARNING, Finding
from opsnb.checks.lint.reach import Reach
from opsnb.checks.lint.said import Readings
from opsnb.checks.lint.unknown_caller import Known, lets_strangers_in

_UNKNOWN = {
    Known.OPEN: "is true, whatever the row says, for a caller who has no identity",
    Known.BY_HELPER: "is true, whatever the row says, for a caller whom its helper function does not know",
}
_WIDE = {
    Reach.EVERYONE: ("always-true", "is always true"),
    Reach.LOGIN: ("any-login", "asks only whether there is a login"),
    Reach.REGISTERED: ("any-user", "asks only whether the caller is known, not whose row it is"),
    Reach.SOME_ROWS: ("row-only", "looks at the row but not at the caller"),
    Reach.UNKNOWN: ("unread", "could not be read by the parser; look at it"),
}
# a column by which a row says itself that it is for everybody
_PUBLISHED = ("public", "publish", "visib", "shared", "listed", "open")

Rights = Mapping[str, Mapping[str, str]]
"""Table → identity → what it may see."""


class Judge:
    """What the rules about one database's policies need; every expression is read once."""

    def __init__(self, database: Database, *, select: Rights, public: Sequence[str], anonymous: str) -> None:
        self.database = database
        self.select = select
        self.public = frozenset(public)
        self.anonymous = anonymous
        self.read = Readings(database)

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong with any policy."""
        for table, policies in self.database.of_table.items():
            restricting = [policy for policy in policies if not policy.permissive]
            for policy in policies:
                if not policy.roles:
                    continue
                yield from self._faulty(policy)
                yield from self._raising(policy)
                if policy.permissive:
                    yield from self._wide(table, policy, restricting)
                    yield from self._unbound(table, policy, restricting)
        yield from recursion.findings(self.database, self.read)

    def _faulty(self, policy: Policy) -> Iterator[Finding]:
        for text in policy.expressions:
            said = self.read(policy.table, text)
            for rule, sentence in said.faults:
                yield self._about(policy, ERROR, rule, sentence)
            if said.tree is not None and (said.subject_columns or not said.plain):
                for sentence in subjects.never_true(said.tree, policy.table, said.subject_columns, self.database):
                    yield self._about(policy, ERROR, "never-true", sentence)

    def _raising(self, policy: Policy) -> Iterator[Finding]:
        """Helper functions that raise instead of answering."""
        for text in policy.expressions:
            plain = None if self.read(policy.table, text).plain else trees.expression(text)
            if plain is None:
                continue
            for routine in helpers.used(plain, self.database):
                body = helpers.body_of(routine)
                if body.raises:
                    sentence = f"calls {written(routine.name)}, which raises an error where it could answer no"
                    yield self._about(policy, WARNING, "helper-raises", sentence)
                if routine.language == "plpgsql":  # those in SQL are judged where they are called
                    for tree in body.statements:
                        for rule, sentence in subjects.of_tree(tree, subject_is_uuid=self.database.subject_is_uuid):
                            yield self._about(policy, ERROR, rule, f"calls {written(routine.name)}, which {sentence}")

    # ── how far it reaches ──
    def _wide(self, table: Name, policy: Policy, restricting: Sequence[Policy]) -> Iterator[Finding]:
        roles = self._not_declared(table, policy)
        if not roles or written(table) in self.public:
            return
        for text in policy.expressions:
            said = self.read(table, self._restricted(policy, text, restricting))
            writes = policy.command != "select" and (text == policy.check or policy.command != "insert")
            if said.known is not Known.NO and said.tree is not None and not said.tautology:
                severity = ERROR if said.known is Known.OPEN or table in self.database.personal else WARNING
                yield self._about(policy, severity, "null-identity", _UNKNOWN[said.known], roles)
            elif self._known_nowhere(policy, text, restricting):
                yield self._about(policy, ERROR, "null-identity", _UNKNOWN[Known.BY_HELPER], roles)
            elif said.reach in (Reach.OWN, Reach.CALLER):
                if column := self._may_be_null(table, said.null_matches):
                    sentence = f"matches rows whose {column} is NULL for a caller who has no identity"
                    yield self._about(policy, ERROR, "null-identity", sentence, roles)
            elif table == ("storage", "objects") and said.reach is Reach.SOME_ROWS and said.tree is not None:
                yield from self._bucket_only(policy, text, roles)
            else:
                rule, sentence = _WIDE[said.reach]
                if text == policy.check and text != policy.using and policy.using:
                    sentence = f"checks new rows with what {sentence}"
                yield self._about(policy, self._severity(table, said.reach, text, writes, policy), rule, sentence, roles)

    def _known_nowhere(self, policy: Policy, text: str, restricting: Sequence[Policy]) -> bool:
        """Whether a caller with a genuine token is let in to every row because a helper does not find them.

        Restricting policies that ask of the token alone keep nobody out who has one.
        """
        others = [each for each in restricting if not self._asks_of_the_token(each)]
        whole = self._restricted(policy, text, others)
        if self.read(policy.table, whole).plain:
            return False  # no helper is asked: what is read already need not be read again
        tree = trees.expression(whole)
        if tree is None:
            return False
        lookups = {routine.name for routine in helpers.used(tree, self.database) if helpers.body_of(routine).tables()}
        return bool(lookups) and lets_strangers_in(tree, lookups)

    def _asks_of_the_token(self, policy: Policy) -> bool:
        for text in policy.expressions:
            tree = trees.expression(text)
            if tree is None or any(True for _ in trees.tables(tree)) or tree.find(exp.Column) is not None:
                return False
            if any(helpers.body_of(routine).tables() for routine in helpers.used(tree, self.database)):
                return False
        return True

    def _may_be_null(self, table: Name, names: Sequence[str]) -> str:
        columns = self.database.columns.get(table, {})
        return next((name for name in names if name in columns and not columns[name].not_null), "")

    def _severity(self, table: Name, widest: Reach, text: str, writes: bool, policy: Policy) -> str:
        personal = table in self.database.personal or table[0] == "storage" or bool(self._declared(table))
        if widest is Reach.UNKNOWN:
            return WARNING
        if widest is Reach.SOME_ROWS:
            if policy.command == "insert":
                return WARNING  # a form that anybody may send in
            says_public = any(part in text.lower() for part in _PUBLISHED)
            return (ERROR if personal or writes else NOTE) if not says_public or writes else WARNING
        if writes:
            return ERROR
        return ERROR if personal else NOTE  # reference data

    def _bucket_only(self, policy: Policy, text: str, roles: tuple[str, ...]) -> Iterator[Finding]:
        """A policy of stored files that asks which bucket, and not whose file."""
        tree = trees.expression(text)
        named = sorted(trees.keys(tree)) if tree is not None else []
        if policy.command == "select" and named and all(f"storage.{bucket}" in self.public for bucket in named):
            return
        sentence = f"asks only for the bucket ({', '.join(named[:3]) or 'any'}), not whose file it is"
        yield self._about(policy, ERROR, "bucket-only", sentence, roles)

    def _restricted(self, policy: Policy, text: str, restricting: Sequence[Policy]) -> str:
        """The expression as it counts: every restrictive policy for the same roles and commands is joined by AND."""
        commands = COMMANDS if policy.command == "all" else (policy.command,)
        also = [
            other.check if text == policy.check and other.check else other.using or other.check
            for other in restricting
            if set(policy.roles) <= set(other.roles) and all(other.covers(each) for each in commands)
        ]
        return " AND ".join(f"({part})" for part in (text, *also) if part) if also else text

    # ── writes ──
    def _unbound(self, table: Name, policy: Policy, restricting: Sequence[Policy]) -> Iterator[Finding]:
        """An UPDATE whose check lets the row be given away: what the old row must meet, the new one need not."""
        if policy.command not in ("update", "all") or not policy.check or not policy.using or policy.check == policy.using:
            return
        old, new = self.read(table, policy.using), self.read(table, self._restricted(policy, policy.check, restricting))
        if old.tree is None or new.reach not in (Reach.OWN, Reach.CALLER):
            return  # said above
        columns = self.database.columns.get(table, {})
        lost = old.bound - new.named
        open_ = sorted(name for name in lost if name in columns and set(columns[name].updatable_by) & set(policy.roles))
        if open_ and not (old.bound & new.named):
            yield self._about(policy, ERROR, "given-away", f"lets its caller change {', '.join(open_)}, by which the row is theirs")

    # ── what the release says ──
    def _declared(self, table: Name) -> Mapping[str, str]:
        return self.select.get(written(table), self.select.get(table[1], {}))

    def _not_declared(self, table: Name, policy: Policy) -> tuple[str, ...]:
        """The policy's roles to which the release does not open the table for reading."""
        declared = self._declared(table)
        if policy.command != "select" or not declared:
            return policy.roles
        known = [said for identity, said in declared.items() if identity not in ("anon", "stranger")]
        everyone = bool(known) and all(said == "all" for said in known)
        open_to = {self.anonymous} if declared.get("anon") == "all" else set()
        if declared.get("stranger") == "all" or everyone:
            open_to |= {role for role in policy.roles if role != self.anonymous}
        return tuple(role for role in policy.roles if role not in open_to)

    def _about(self, policy: Policy, severity: str, rule: str, sentence: str, roles: tuple[str, ...] = ()) -> Finding:
        return Finding(severity, rule, policy.object, roles or policy.roles, f"the policy for {policy.command} {sentence}")
