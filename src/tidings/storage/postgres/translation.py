"""The shared statements in the words of PostgreSQL.

- `?` and `?1` become `$1`.
- `? IS NULL` becomes TRUE or FALSE by the value that is bound: PostgreSQL could not tell the type
  of such a place, and the planner chooses better without it.
- `CROSS JOIN x ON …`, with which SQLite is told the order of a join, is an ordinary join.
- `INDEXED BY x`, with which SQLite is told the index, goes.
- A plus before a column, with which SQLite is kept from an index, goes.

What stands in quotes and in comments is left alone.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

STATEMENTS_KEPT: Final = 1_000

_TOKEN: Final = re.compile(
    r"""
    (?P<quoted> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* )
    | \?(?P<number>\d*) (?P<test> \s+IS\s+(?P<negated>NOT\s+)?NULL\b )?
    | \bCROSS\s+(?= JOIN\s+
        (?: \w+ | \( (?: [^()] | \( (?: [^()] | \([^()]*\) )* \) )* \) )
        (?: \s+(?:AS\s+)? (?!ON\b)\w+ )? \s+ON\b )
    | \bINDEXED\s+BY\s+\w+\s+
    | (?P<before_plus> \b(?:AND|BY|NOT|ON|OR|WHERE)\s+ ) \+ (?=[A-Za-z_])
    """,
    re.VERBOSE | re.IGNORECASE,
)


def storable(value: Any) -> Any:
    """The value as PostgreSQL can take it: text has no NUL there, but may show the sign for it.

    So what cannot exist is looked for and not found, instead of being an error.
    """
    if isinstance(value, str) and "\0" in value:
        return value.replace("\0", "\N{SYMBOL FOR NULL}")
    return value


class Place:
    """Where a value goes; `is_null` is what is asked of it there, if that is all."""

    __slots__ = ("is_null", "number")

    def __init__(self, number: int, *, is_null: bool | None) -> None:
        self.number = number
        self.is_null = is_null


class Translation:
    """One statement, cut at its places."""

    def __init__(self, sql: str) -> None:
        self._parts = _cut(sql)
        places = [part for part in self._parts if isinstance(part, Place)]
        self._count = max((place.number for place in places), default=0)
        self._tested = sorted({place.number for place in places if place.is_null is not None})
        self._variants: dict[tuple[bool, ...], tuple[str, list[int]]] = {}

    def bound(self, bindings: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """The statement and the values for its places."""
        assert len(bindings) == self._count, f"{self._count} values wanted, {len(bindings)} given"
        nulls = tuple(bindings[number - 1] is None for number in self._tested)
        if nulls not in self._variants:
            self._variants[nulls] = self._variant(nulls)
        text, numbers = self._variants[nulls]
        return text, [storable(bindings[number - 1]) for number in numbers]

    def _variant(self, nulls: Sequence[bool]) -> tuple[str, list[int]]:
        """The text for values of which these are NULL, and the numbers of those it still needs."""
        is_null = dict(zip(self._tested, nulls, strict=True))
        places: dict[int, int] = {}
        text = ""
        for part in self._parts:
            if isinstance(part, str):
                text += part
            elif part.is_null is None:
                text += f"${places.setdefault(part.number, len(places) + 1)}"
            else:
                text += "TRUE" if is_null[part.number] == part.is_null else "FALSE"
        return text, list(places)


@lru_cache(maxsize=STATEMENTS_KEPT)
def translated(sql: str) -> Translation:
    """The translation of a statement."""
    return Translation(sql)


@lru_cache(maxsize=STATEMENTS_KEPT)
def over_rows(before: str, after: str, types: str) -> str:
    """The statement that runs ``before VALUES (…),(…) after`` over columns given as arrays."""
    arrays = ", ".join(
        f"${number}::{_TYPES[letter]}[]" for number, letter in enumerate(types, start=1)
    )
    names = ", ".join(f"column{number}" for number in range(1, len(types) + 1))
    rows = f"SELECT * FROM unnest({arrays}) AS given ({names})"
    text, _ = translated(f"{before}\0{after}").bound(())
    return text.replace("\0", f" {rows} ")


_TYPES: Final = {"i": "bigint", "t": "text", "b": "bytea", "f": "double precision"}


def _cut(sql: str) -> list[str | Place]:
    parts: list[str | Place] = []
    start = 0
    highest = 0
    for token in _TOKEN.finditer(sql):
        if token["quoted"] is not None:
            continue
        parts.append(sql[start : token.start()])
        start = token.end()
        if token["number"] is not None:
            number = int(token["number"] or highest + 1)
            highest = max(highest, number)
            is_null = None if token["test"] is None else token["negated"] is None
            parts.append(Place(number, is_null=is_null))
        else:
            parts.append(token["before_plus"] or "")
    parts.append(sql[start:])
    return parts
