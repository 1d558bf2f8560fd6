"""A package that declares what it offers declares all of it, and nothing that is not there.

The order within `__all__` is ruff's to check (RUF022).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.checkout import expect_none, named, source_modules, syntax_tree


def test_exported_names_are_complete() -> None:
    expect_none(
        (finding for path in source_modules() for finding in _wrong_exports(path)),
        "Put `__all__` right:",
    )


def _wrong_exports(path: Path) -> Iterator[str]:
    exported = _exported(syntax_tree(path))
    if exported is None:
        return
    bound = set(_bound(syntax_tree(path), imports=path.name == "__init__.py"))
    for name in sorted(set(exported) - bound):
        yield f"{named(path)} exports {name}, which is not there"
    for name in sorted(bound - set(exported)):
        if not name.startswith("_"):
            yield f"{named(path)} offers {name} without exporting it; export it or underscore it"
    for name in sorted({name for name in exported if exported.count(name) > 1}):
        yield f"{named(path)} exports {name} twice"


def _exported(module: ast.Module) -> list[str] | None:
    for node in module.body:
        if isinstance(node, ast.Assign) and _target_names(node) == ["__all__"]:
            names = ast.literal_eval(node.value)
            return [str(name) for name in names]
    return None


def _bound(module: ast.Module, *, imports: bool) -> Iterator[str]:
    """The names that a module defines; a package also offers what it imports from within."""
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from _target_names(node)
        elif imports and isinstance(node, ast.ImportFrom) and _is_ours(node):
            yield from (alias.asname or alias.name for alias in node.names)


def _is_ours(node: ast.ImportFrom) -> bool:
    return node.level > 0 or str(node.module).startswith("tidings")


def _target_names(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [name.id for name in targets if isinstance(name, ast.Name)]
