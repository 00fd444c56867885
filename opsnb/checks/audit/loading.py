"""Files as modules: what they import from one another, and what they give."""

from __future__ import annotations

from collections.abc import Callable

from tree_sitter import Node

from opsnb.checks.audit.functions import Functions
from opsnb.checks.audit.modules import Modules, declared_names, exported_names
from opsnb.checks.audit.scopes import Scope
from opsnb.checks.audit.state import Flow
from opsnb.checks.audit.syntax import cooked, field, parts, text
from opsnb.checks.audit.values import NONE, Known, Text, Value


class Loading(Functions):
    """Loads files when they are imported, each once."""

    def __init__(self, modules: Modules) -> None:
        super().__init__(modules)
        self._scopes: dict[str, Scope] = {}

    def load(self, path: str) -> Scope:
        """The names of a file, after its statements were followed."""
        if path in self._scopes:
            return self._scopes[path]
        scope = self._scopes[path] = Scope(path)
        source = self.modules.sources.get(path)
        if source is None or source.root is None:
            return scope
        before, self.flow = self.flow, Flow()
        for each in self.modules.imports(source):
            target = self.modules.resolve(path, each.specifier)
            if target.kind == "file" and target.path in self.modules.sources:
                self.load(target.path)
            for name in each.names:
                if name.local:
                    scope.names[name.local] = self._binding(target.kind, target.path, name.exported, name.local)
        self.block(source.root, scope)
        self.flow = before
        return scope

    def _binding(self, kind: str, path: str, exported: str, local: str) -> Callable[[], Value]:
        if kind == "file" and path in self.modules.sources:
            if exported == "*":
                return lambda: Known(NONE, f"module:{path}")
            return lambda: self.exported(path, exported)
        if path in ("node:process", "process"):
            return lambda: Known(NONE, "process" if exported in ("default", "*") else f"process.{exported}")
        return lambda: Known(NONE, "import" if exported == "*" else f"import.{local if exported == 'default' else exported}")

    def exported(self, path: str, name: str) -> Value:
        """What the file *path* exports as *name*."""
        scope, source = self.load(path), self.modules.sources.get(path)
        for node in parts(source.root) if source is not None and source.root is not None else ():
            if node.type != "export_statement":
                continue
            origin = field(node, "source")
            if origin is None and name in exported_names(node):
                return scope.get(_local(node, name)) or Value()
            if origin is not None:
                target = self.modules.resolve(path, cooked(origin))
                inner = _local(node, name) if name in exported_names(node) else ""
                whole = any(child.type == "*" for child in node.children)
                if target.kind == "file" and (inner or (whole and name in self.modules.exports(target.path).names)):
                    return self.exported(target.path, inner or name)
        return Known(NONE, f"import.{name}")

    def imported(self, args: list[Value], scope: Scope) -> Value:
        """``import(args)``: the module, where it is a file of the release."""
        literal = args[0].literal if args and isinstance(args[0], Text) else None
        target = self.modules.resolve(scope.path, literal) if literal else None
        return Known(NONE, f"module:{target.path}" if target and target.kind == "file" else "import")


def _local(node: Node, exported: str) -> str:
    """How the file itself calls what it exports as *exported*."""
    for child in node.children:
        if child.type == "export_clause":
            for specifier in parts(child):
                name, alias = field(specifier, "name"), field(specifier, "alias")
                if text(alias or name) == exported:
                    return text(name)
    declared = field(node, "declaration")
    if exported == "default":
        return (next(iter(declared_names(declared)), "") if declared is not None else "") or "*default*"
    return exported
