"""How a defect is planted: something of the program is replaced, and put back afterwards."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_MISSING = object()


@dataclass(frozen=True)
class Replacement:
    """What stands in for an attribute, or for an entry of a table, while a defect is planted."""

    owner: Any
    name: Any
    by: Any


@dataclass(frozen=True)
class PlantedFault:
    """One deliberate defect. `breaks` says it in a sentence; `seed` is one known to show it."""

    name: str
    breaks: str
    replacements: tuple[Replacement, ...]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The program with this defect."""
        before = [(one, _put(one.owner, one.name, one.by)) for one in self.replacements]
        try:
            yield
        finally:
            for one, value in reversed(before):
                _put(one.owner, one.name, value)


def fault(name: str, breaks: str, *replacements: Replacement) -> PlantedFault:
    """A planted fault in one line."""
    return PlantedFault(name, breaks, replacements)


def instead(owner: Any, name: Any, by: Any) -> Replacement:
    """Replace an attribute or an entry."""
    return Replacement(owner, name, by)


def around(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Replacement:
    """Replace an attribute by something made of it."""
    return Replacement(owner, name, wrap(getattr(owner, name)))


def _put(owner: Any, name: Any, value: Any) -> Any:
    """Put a value in place, and answer what stood there."""
    if isinstance(owner, Mapping):
        table: Any = owner
        before = table.get(name, _MISSING)
        if value is _MISSING:
            del table[name]
        else:
            table[name] = value
        return before
    before = owner.__dict__.get(name, _MISSING) if isinstance(owner, type) else getattr(owner, name)
    if value is _MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, value)
    return before
