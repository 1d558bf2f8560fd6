"""What is in this checkout: its files by kind, and how a tidy test names what it found."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "tidings"

_CODE_FOLDERS = ("src", "tests", "bench", "simulation", "examples", "tools")
_CODE_SUFFIXES = (".py", ".sql", ".js", ".css", ".html")
_OURS_THOUGH_HIDDEN = {".ci", ".gitignore", ".editorconfig"}
_LEFT_BEHIND = {"__pycache__"}
_LEFT_AT_THE_TOP = {"build", "dist", "data"}


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Every file that people write, and none that tools leave behind."""
    left_behind = _LEFT_BEHIND | _LEFT_AT_THE_TOP if folder == ROOT else _LEFT_BEHIND
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name not in _OURS_THOUGH_HIDDEN
        if hidden or path.name in left_behind:
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def code_files() -> list[Path]:
    return [
        path
        for name in _CODE_FOLDERS
        if (ROOT / name).is_dir()
        for path in files(ROOT / name)
        if path.suffix in _CODE_SUFFIXES
    ]


def python_files() -> list[Path]:
    return [path for path in code_files() if path.suffix == ".py"]


def source_modules() -> list[Path]:
    return [path for path in files(SOURCE) if path.suffix == ".py"]


def documents() -> list[Path]:
    return [path for path in files() if path.suffix == ".md"]


@cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def syntax_tree(path: Path) -> ast.Module:
    return ast.parse(text(path), filename=str(path))


def named(path: Path, line: int | None = None) -> str:
    """The path as an editor and a person take it: relative, with its line."""
    place = path.relative_to(ROOT).as_posix()
    return place if line is None else f"{place}:{line}"


def expect_none(findings: Iterable[str], rule: str) -> None:
    """Fail with the rule and every finding, so that one run tells all there is to mend."""
    __tracebackhide__ = True
    found = list(findings)
    assert not found, "\n  ".join([rule, *found])
