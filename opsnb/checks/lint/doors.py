"""Ways around the policies: views, functions with their owner's rights, publications, public buckets, tables without a policy."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from sqlglot import exp

from opsnb.checks.lint import helpers, trees
from opsnb.checks.lint.database import Database, Name, Relation, Routine, written
from opsnb.checks.lint.findings import ERROR, NOTE, WARNING, Finding
from opsnb.checks.lint.openings import Judge
from opsnb.checks.lint.reach import Reach, of_tree
from opsnb.checks.tables import some

_VIEWS = ("view", "materialised view")


def tables(judge: Judge) -> Iterator[Finding]:
    """Exposed tables whose policies let nobody in, or do not hold because row-level security is off."""
    for name, relation in judge.database.relations.items():
        if relation.kind not in ("table", "partitioned table") or not relation.api_roles or name[0] in ("storage", "realtime"):
            continue
        policies = judge.database.of_table.get(name, [])
        if not relation.rls and policies:
            yield Finding(
                ERROR, "rls-off", written(name), relation.api_roles,
                f"row-level security is off, so its {len(policies)} policies do not hold",
            )  # fmt: skip
        elif not relation.rls and written(name) not in judge.public:
            severity = ERROR if name in judge.database.personal else WARNING
            yield Finding(severity, "rls-off", written(name), relation.api_roles, "row-level security is off on a table the API exposes")
        elif relation.rls and not any(set(policy.roles) & set(relation.api_roles) for policy in policies if policy.permissive):
            sentence = "row-level security is on and no policy lets an API role in: it reads and writes nothing"
            yield Finding(WARNING, "no-policy", written(name), relation.api_roles, sentence)


def views(judge: Judge) -> Iterator[Finding]:
    """Views an API role may read that go around the policies of the tables behind them."""
    for name, relation in judge.database.relations.items():
        if relation.kind not in _VIEWS or not relation.readable_by or written(name) in judge.public:
            continue
        if not relation.owners_rights and relation.kind == "view":
            continue
        behind, unread = _behind(name, relation, judge.database, frozenset())
        if unread:
            yield Finding(WARNING, "unread", written(name), relation.readable_by, "the query of this view could not be read by the parser")
        passed = sorted(
            written(table)
            for table in behind
            if judge.database.protected(table) or table == ("auth", "users")
            if relation.kind != "view" or judge.database.passes_by(relation.owner, relation.owner_ignores_rls, table)
        )
        if not passed:
            continue
        tree = trees.query(relation.definition)
        severity, more = _view_severity(tree, relation, judge)
        how = "keeps a copy that no policy guards" if relation.kind != "view" else "reads with its owner's rights"
        sentence = f"the view {how}, past the policies of {some(passed)}{more}"
        yield Finding(severity, "owners-rights-view", written(name), relation.readable_by, sentence)


def _view_severity(tree: exp.Expr | None, relation: Relation, judge: Judge) -> tuple[str, str]:
    if tree is None:
        return ERROR, ""
    if relation.kind == "view" and isinstance(tree, exp.Select):
        condition = trees.where(tree)
        condition = condition.copy() if condition is not None else None  # by itself: its columns are then those of a row
        if condition is not None and of_tree(helpers.inlined(condition, judge.database)) is Reach.OWN and _asks(condition, judge):
            return NOTE, "; it shows the caller's own rows"
    if isinstance(tree, exp.Select) and all(trees.bare(each).find(exp.AggFunc) for each in tree.expressions) and not tree.args.get("group"):
        return WARNING, "; it shows numbers over all rows only"
    return ERROR, ""


def _asks(tree: exp.Expr, judge: Judge) -> bool:
    return trees.asks_identity(helpers.inlined(tree, judge.database)) or any(
        helpers.body_of(routine).asks_identity() for routine in helpers.used(tree, judge.database)
    )


def _behind(name: Name, relation: Relation, database: Database, seen: frozenset[Name]) -> tuple[set[Name], bool]:
    """The tables behind a view, also through other views, and whether something could not be read."""
    tree = trees.query(relation.definition)
    if tree is None:
        return set(), True
    found: set[Name] = set()
    unread = False
    for schema, other, _ in trees.tables(tree):
        inner = database.relations.get((schema, other))
        if inner is not None and inner.kind in _VIEWS and (schema, other) not in seen:
            deeper, more = _behind((schema, other), inner, database, seen | {name})
            found |= deeper
            unread = unread or more
        else:
            found.add((schema, other))
    return found, unread


def routines(judge: Judge) -> Iterator[Finding]:
    """Functions with their owner's rights that an API role may call."""
    for overloads in judge.database.routines.values():
        for routine in overloads:
            if routine.definer and routine.executable_by and written(routine.name) not in judge.public:
                yield from _definer(judge, routine)


def _definer(judge: Judge, routine: Routine) -> Iterator[Finding]:
    database = judge.database
    body = helpers.body_of(routine)
    inner = [each for tree in body.statements for each in helpers.used(tree, database)]
    touched, wrote = body.tables(), body.writes()
    for each in inner:
        touched, wrote = touched | helpers.body_of(each).tables(), wrote | helpers.body_of(each).writes()
    reached = {
        table for table in touched
        if (database.protected(table) or table == ("auth", "users")) and database.passes_by(routine.owner, routine.owner_ignores_rls, table)
    }  # fmt: skip
    asks = body.asks_identity() or any(helpers.body_of(each).asks_identity() for each in inner)
    open_to_all = judge.anonymous in routine.executable_by
    path = "" if routine.search_path_fixed else "; its search_path is not fixed"
    unread = "; part of its body could not be read" if body.unread or body.dynamic else ""
    if reached and not asks:
        who = "anyone may call it" if open_to_all else "whoever is signed in may call it"
        does = f"changes {some(_written(reached & wrote))}" if reached & wrote else f"reads {some(_written(reached))}"
        severity = ERROR if open_to_all or reached & database.personal else WARNING
        sentence = f"{who}, and with its owner's rights it {does}, past the policies, without asking who calls{path}{unread}"
    elif (body.unread or body.dynamic) and not asks:
        writes = routine.volatility == "volatile"
        severity = ERROR if open_to_all and writes and routine.owner_ignores_rls else WARNING
        what = f"this {'writing ' if writes else ''}function"
        sentence = f"callers run {what} with the rights of its owner, and its body could not be read{path}"
    elif not routine.search_path_fixed:
        severity = WARNING
        sentence = "runs with its owner's rights and without a fixed search_path: whoever may create objects can lead it astray"
        sentence += f"; it reaches {some(_written(reached))}" if reached else ""
    elif reached:
        severity, sentence = NOTE, f"reaches {some(_written(reached))} with its owner's rights, and asks who calls{unread}"
    else:
        severity, sentence = NOTE, "runs with its owner's rights and reaches no protected table"
    rule = "definer-function" if routine.search_path_fixed or severity == ERROR else "definer-search-path"
    yield Finding(severity, rule, f"{written(routine.name)}", routine.executable_by, sentence)


def _written(names: set[Name]) -> list[str]:
    return sorted(written(name) for name in names)


def publications(judge: Judge, published: pd.DataFrame) -> Iterator[Finding]:
    """Tables that are sent to subscribers although nothing guards them, and publications of everything."""
    for publication, sent in published.groupby("publication", sort=True):
        names = [(str(row["schema"]), str(row["table_name"])) for row in sent.to_dict("records")]
        if sent["everything"].astype(bool).any():
            sentence = f"sends every table there is ({len(names)} now) and every one to come; name those that are needed"
            yield Finding(WARNING, "published", str(publication), (), sentence)
        for name in names:
            relation = judge.database.relations.get(name)
            if relation is not None and not relation.rls and name in judge.database.personal and written(name) not in judge.public:
                sentence = f"is sent to the subscribers of {publication}, and no policy guards it"
                yield Finding(ERROR, "published", written(name), relation.api_roles, sentence)


def buckets(judge: Judge, kept: pd.DataFrame) -> Iterator[Finding]:
    """Storage buckets whose files anybody may fetch who knows or guesses a name."""
    for row in kept.to_dict("records"):
        name = f"storage.{row['object']}"
        if bool(row["public"]) and name not in judge.public:
            sentence = "the bucket is public: its files are served to anybody, whatever the policies say"
            yield Finding(ERROR, "public-bucket", name, (judge.anonymous,), sentence)
