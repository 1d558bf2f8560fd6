"""A file holds one idea, a function one step, a line one thought."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.checkout import code_files, expect_none, named, python_files, syntax_tree, text

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
LINE_COLUMNS_MAX = 100


def test_files_are_short() -> None:
    expect_none(
        (
            f"{named(path)} has {lines} lines"
            for path in code_files()
            if (lines := len(text(path).splitlines())) > FILE_LINES_MAX
        ),
        f"Split by idea what is longer than {FILE_LINES_MAX} lines:",
    )


def test_functions_are_short() -> None:
    expect_none(
        (finding for path in python_files() for finding in _long_functions(path)),
        f"Take steps out of functions longer than {FUNCTION_LINES_MAX} lines:",
    )


def test_lines_are_short() -> None:
    expect_none(
        (
            f"{named(path, number)} has {len(line)} columns"
            for path in code_files()
            for number, line in enumerate(text(path).splitlines(), start=1)
            if len(line) > LINE_COLUMNS_MAX
        ),
        f"Break lines longer than {LINE_COLUMNS_MAX} columns:",
    )


def _long_functions(path: Path) -> Iterator[str]:
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{named(path, node.lineno)} {node.name}() has {lines} lines"
