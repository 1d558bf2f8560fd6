"""What a command shows: JSON as the API gave it, or tables for people; and how it fails.

For people nothing is shown as it came: control characters are made visible, so that no receiver's
answer can play with a terminal. With `--json` the bytes of the API are passed on untouched.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NoReturn

import typer

from tidings.core.refusals import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotAvailable,
    NotFound,
    Overloaded,
    PreconditionFailed,
    Refusal,
    TooLarge,
    Unauthorized,
    UnsupportedMediaType,
)


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    CONFLICT = 5
    UNAVAILABLE = 6
    NOT_AVAILABLE = 7
    BAD_RESULT = 8
    INTERRUPTED = 130


MEANINGS: Final[Mapping[ExitCode, str]] = {
    ExitCode.OK: "Done.",
    ExitCode.FAILED: "Failed for a reason that has no code of its own; the line says which.",
    ExitCode.USAGE: "The command, a setting or a value is not valid. Nothing was done.",
    ExitCode.NOT_FOUND: "There is no such thing, or it belongs to another tenant.",
    ExitCode.NOT_ALLOWED: "The API key is missing or unknown, or does not allow this.",
    ExitCode.CONFLICT: "Not possible in the state that things are in.",
    ExitCode.UNAVAILABLE: "The server cannot be reached or cannot do it now. Try again later.",
    ExitCode.NOT_AVAILABLE: "Documented, but this version cannot do it. Nothing was done.",
    ExitCode.BAD_RESULT: "Done, with a bad result: a check found faults, a test did not arrive, "
    "or the demonstration did not happen as told.",
    ExitCode.INTERRUPTED: "Stopped by Ctrl-C.",
}

EXIT_CODES: Final[Mapping[type[Refusal], ExitCode]] = {
    NotFound: ExitCode.NOT_FOUND,
    Unauthorized: ExitCode.NOT_ALLOWED,
    Forbidden: ExitCode.NOT_ALLOWED,
    Malformed: ExitCode.USAGE,
    Invalid: ExitCode.USAGE,
    NotAvailable: ExitCode.NOT_AVAILABLE,
    Conflict: ExitCode.CONFLICT,
    PreconditionFailed: ExitCode.CONFLICT,
    TooLarge: ExitCode.USAGE,
    UnsupportedMediaType: ExitCode.USAGE,
    Overloaded: ExitCode.UNAVAILABLE,
}
"""The exit code of each refusal; the nearest of its bases counts."""

_STYLES: Final[Mapping[str, str]] = {
    "active": "green",
    "delivered": "green",
    "finished": "green",
    "healthy": "green",
    "failing": "yellow",
    "paused": "yellow",
    "pending": "yellow",
    "running": "yellow",
    "throttled": "yellow",
    "blocked": "red",
    "dead_lettered": "red",
    "disabled": "red",
    "failed": "red",
    "gone": "red",
    "open": "red",
    "cancelled": "dim",
}
_NOTHING: Final = "-"
_TABLE_WIDTH_MAX: Final = 500


class CommandFailed(Exception):
    """The command ends with this line on standard error and this exit code.

    `problem` is the code of the problem that the server answered, if it was one.
    """

    def __init__(self, line: str, code: ExitCode, *, problem: str | None = None) -> None:
        super().__init__(line)
        self.line = line
        self.code = code
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered: the bytes, and what they say."""

    raw: bytes

    @property
    def value(self) -> Any:
        """The JSON of the answer."""
        return json.loads(self.raw)


def exit_code_of(refusal: type[Refusal]) -> ExitCode:
    """The exit code of a refusal."""
    return next(EXIT_CODES[base] for base in refusal.__mro__ if base in EXIT_CODES)


def refuse(line: str) -> NoReturn:
    """End the command because of how it was called."""
    raise CommandFailed(line, ExitCode.USAGE)


def shown(value: Any) -> str:
    """A value of an answer as people read it, with nothing in it that a terminal obeys."""
    match value:
        case None:
            return _NOTHING
        case bool():
            return "yes" if value else "no"
        case str():
            return visible(value)
        case list():
            return ", ".join(shown(one) for one in value) or _NOTHING
        case dict() if not value:
            return _NOTHING
        case _:
            return visible(json.dumps(value, ensure_ascii=False))


def visible(text: str) -> str:
    """The text with every control character made visible."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def words(name: str) -> str:
    """A member's name as people read it: ``nextAttemptAt`` is ``next attempt at``."""
    return "".join(f" {one.lower()}" if one.isupper() else one for one in name)


class Screen:
    """Where a command shows what it has to show. With `is_json`, people's lines are left out."""

    def __init__(self, *, is_json: bool = False) -> None:
        self.is_json = is_json

    @property
    def is_watched(self) -> bool:
        """Whether a person looks on, rather than a file or another program."""
        return sys.stdout.isatty() and sys.stderr.isatty() and not self.is_json

    def line(self, text: str) -> None:
        """Say something to people."""
        if not self.is_json:
            typer.echo(visible(text))

    def text(self, text: str) -> None:
        """Show a text of several lines, such as JSON."""
        if not self.is_json:
            typer.echo("\n".join(visible(line) for line in text.splitlines()))

    def value(self, value: Any) -> None:
        """Show what is no answer of the API as JSON."""
        if self.is_json:
            typer.echo(json.dumps(value))

    def answer(self, answer: Answer, line: str = "") -> None:
        """Show an answer as JSON, or say a line about it."""
        if self.is_json:
            _write(answer.raw)
        elif line:
            self.line(line)

    def item(self, answer: Answer, *, without: Sequence[str] = ()) -> None:
        """Show one thing, each of its members on a line."""
        if self.is_json:
            _write(answer.raw)
        else:
            self.members({k: v for k, v in answer.value.items() if k not in without})

    def members(self, members: Mapping[str, Any]) -> None:
        """Show names and values, below each other."""
        if self.is_json:
            return
        width = max(map(len, map(words, members)), default=0)
        for name, value in members.items():
            self._styled(f"{words(name):<{width}}  ", shown(value))

    def page(self, answer: Answer, columns: Mapping[str, str]) -> None:
        """Show one page of a list; `columns` are titles and the members below them."""
        if self.is_json:
            _write(answer.raw)
            return
        self.table(answer.value["items"], columns)
        cursor = answer.value["nextCursor"]
        if cursor is not None:
            self.line(f"There are more: --cursor {cursor}")

    def table(self, items: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
        """Show things below each other, a line for each."""
        if self.is_json:
            return
        rows = [[shown(item[member]) for member in columns.values()] for item in items]
        if not rows:
            self.line("There are none.")
        elif sys.stdout.isatty():
            _print_table(list(columns), rows)
        else:
            _print_columns([list(columns), *rows])

    @contextmanager
    def progress(self, what: str) -> Iterator["Progress"]:
        """Show how far long work has come, as long as a person looks on."""
        if not self.is_watched:
            yield Progress()
            return
        from rich.console import Console
        from rich.progress import Progress as Bars

        with Bars(console=Console(stderr=True), transient=True) as bars:
            yield _Bar(bars, bars.add_task(what, total=None))

    def _styled(self, label: str, value: str) -> None:
        style = _STYLES.get(value)
        if style is None or not sys.stdout.isatty():
            typer.echo(label + value)
            return
        from rich.console import Console
        from rich.text import Text

        Console().print(Text.assemble(label, (value, style)), soft_wrap=True)


class Progress:
    """How far work has come, for nobody to see."""

    def reached(self, done: int, total: int) -> None:
        """Note how much is done."""


class _Bar(Progress):
    def __init__(self, bars: Any, bar: Any) -> None:
        self._bars = bars
        self._bar = bar

    def reached(self, done: int, total: int) -> None:
        self._bars.update(self._bar, completed=done, total=total)


def _write(raw: bytes) -> None:
    if raw:
        typer.echo(raw)


def _print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    # As wide as it needs to be: a terminal may break a line, but an id must stay in one piece.
    Console(width=_TABLE_WIDTH_MAX).print(table)


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns without colours, lines or breaks, for files and other programs."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
