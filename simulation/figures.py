"""What a long run came to, and its place in the docs."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from simulation.plan import FAULTS, MOODS
from simulation.world import Outcome
from tidings.core.delivery import Turn
from tools.pages import DOCS, replace_block

_RARE: Final = 5


class Figures(msgspec.Struct):
    """The sums over worlds."""

    seeds: int = 0
    broken: int = 0
    hours: float = 0.0
    seconds: float = 0.0
    events: int = 0
    requests: int = 0
    lives: int = 0
    counted: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one world."""
        self.seeds += 1
        self.broken += outcome.broken is not None
        self.hours += outcome.hours
        self.seconds += outcome.seconds
        self.events += outcome.events
        self.requests += outcome.requests
        self.lives += outcome.lives
        self.counted.update(outcome.counted)

    def line(self) -> str:
        """All in one line, for a terminal."""
        return (
            f"{self.seeds} seeds, {self.hours:,.0f} hours, {self.events:,} events, "
            f"{self.requests:,} requests, {self.lives:,} lives: {self.broken} broken; "
            f"{self.hours / self.seconds:,.0f} simulated hours for each second of CPU, "
            f"{1_000 * self.seconds / self.seeds:.0f} ms for each seed"
        )

    def write(self, about: str) -> None:
        """Put the figures into the page on reliability, between their marks."""
        replace_block(DOCS / "reliability.md", "simulation figures", "\n".join(self._lines(about)))

    def _lines(self, about: str) -> Iterator[str]:
        yield about
        yield ""
        yield "| worlds | broken | hours | hours in a second of CPU | events | requests | lives |"
        yield "|---:|---:|---:|---:|---:|---:|---:|"
        yield (
            f"| {self.seeds:,} | {self.broken} | {self.hours:,.0f} "
            f"| {self.hours / self.seconds:,.0f} | {self.events:,} | {self.requests:,} "
            f"| {self.lives:,} |"
        )
        yield ""
        kinds: dict[str, list[str]] = {
            "kinds of fault": list(FAULTS),
            "moods of receivers": [f"mood {mood}" for mood in MOODS],
            "turns in a delivery's life": [f"turn {turn}" for turn in Turn],
        }
        for what, names in kinds.items():
            times = sorted((self.counted[name], name.partition(" ")[2] or name) for name in names)
            rarest = ", ".join(f"`{name}` {count:,}" for count, name in times[:_RARE])
            reached = sum(count > 0 for count, _ in times)
            yield f"- {reached} of {len(times)} {what} reached, the rarest: {rarest}."
