"""Content filters, payload formats and quotas: drawn apart from everything else in a world.

So a world without them is the same whether or not they exist.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from simulation.chance import stream
from tidings.core.payload import PayloadFormat
from tidings.operations.publish import NO_QUOTAS, PublishQuotas
from tidings.operations.wish import Wish

_SHARE: Final = 0.35
_EXTRAS: Final = ("filters", "formats", "quotas")
VERBS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "filters": ("edit_filter",),
    "formats": ("edit_format",),
    "quotas": (),
}


def _number(data: Any) -> float | None:
    number = data.get("number")
    return number if isinstance(number, int | float) else None


FILTERS: Final[Mapping[str, Callable[[Any], bool]]] = {
    '{"number":{"$gte":120}}': lambda data: (_number(data) or 0) >= 120,
    '{"number":{"$lt":150}}': lambda data: _number(data) is not None and data["number"] < 150,
    '{"number":{"$exists":false}}': lambda data: "number" not in data,
    '{"$not":{"number":{"$gte":100}}}': lambda data: (_number(data) or 0) < 100,
    '{"$or":[{"number":{"$in":[1,2,3]}},{"text":{"$exists":true}}]}': lambda data: (
        data.get("number") in (1, 2, 3) or "text" in data
    ),
    '{"text":{"$prefix":"xx"}}': lambda data: data.get("text", "").startswith("xx"),
    "{}": lambda _data: True,
}
"""What each filter says, written down a second time and apart from the program."""


def is_selected(content_filter: str | None, data: bytes) -> bool:
    """Whether a filter lets data through."""
    return content_filter is None or FILTERS[content_filter](json.loads(data))


@dataclass(frozen=True)
class Extras:
    """What there is in one world."""

    names: frozenset[str]
    quotas: PublishQuotas = NO_QUOTAS

    def verbs(self) -> tuple[str, ...]:
        """What clients do because of them."""
        return tuple(verb for name in _EXTRAS if name in self.names for verb in VERBS_OF[name])

    def adorned(self, wish: Wish, draws: random.Random) -> Wish:
        """A wish with a filter and a format of its own, perhaps."""
        if "filters" in self.names:
            wish = with_filter(wish, draws)
        if "formats" in self.names:
            wish = with_format(wish, draws)
        return wish


def with_filter(wish: Wish, draws: random.Random) -> Wish:
    """A wish with a filter, or none."""
    content_filter = draws.choice((None, *FILTERS))
    return replace(wish, content_filter=content_filter)


def with_format(wish: Wish, draws: random.Random) -> Wish:
    """A wish with a payload format."""
    return replace(
        wish,
        payload_format=draws.choice(tuple(PayloadFormat)),
        thin_above_bytes=draws.choice((None, None, 0, 150, 10_000)),
    )


def extras_of(seed: int) -> Extras:
    """The extras of a seed."""
    draws = stream(seed, "extras")
    names = frozenset(name for name in _EXTRAS if draws.random() < _SHARE)
    if "quotas" not in names:
        return Extras(names)
    quotas = PublishQuotas(draws.choice((None, 1, 2)), draws.choice((None, 12, 60)))
    return Extras(names, quotas)
