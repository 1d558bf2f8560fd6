"""The journal: every fact goes to whoever listens, and into the trace.

The first promise that is found broken stops the world, so that what is printed is the cause and not
its consequences.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from simulation import facts
from simulation.virtual_loop import Timeline

Listener = Callable[[Any], None]


class BrokenPromise(Exception):
    """Something was promised and did not hold."""

    def __init__(self, promise: str, detail: str) -> None:
        super().__init__(promise, detail)
        self.promise = promise
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.promise}: {self.detail}"


class Journal:
    """Tells facts in the order in which they happen."""

    def __init__(self, timeline: Timeline, *, trace: Callable[[str], None] | None = None) -> None:
        self.broken: BrokenPromise | None = None
        self.broken_at = 0.0
        self.counted: Counter[str] = Counter()
        self._timeline = timeline
        self._listeners: dict[type[facts.Fact], list[Listener]] = {}
        self._trace = trace
        self._digest = hashlib.blake2b(digest_size=16)

    def listen(self, hears: Mapping[type[facts.Fact], Listener]) -> None:
        """Have facts told, after those who began to listen earlier."""
        for kind, listener in hears.items():
            self._listeners.setdefault(kind, []).append(listener)

    def tell(self, fact: facts.Fact) -> None:
        """Tell a fact; nothing is told any more after a promise was broken."""
        if self.broken is not None:
            return
        if self._trace is not None:
            line = f"{self._timeline.now:14.6f} {fact!r}"
            self._digest.update(line.encode())
            self._trace(line)
        try:
            for listener in self._listeners.get(type(fact), ()):
                listener(fact)
        except BrokenPromise as broken:
            self.fail(broken)

    def fail(self, broken: BrokenPromise) -> None:
        """Note that a promise is broken, and stop the world."""
        if self.broken is None:
            self.broken = broken
            self.broken_at = self._timeline.now
            self._timeline.stop()

    def disturb(self, fault: str) -> None:
        """Tell that a fault was put into the world."""
        self.counted[fault] += 1
        self.tell(facts.Disturbed(fault))

    def digest(self) -> str:
        """A fingerprint of the trace so far; meaningful while tracing."""
        return self._digest.hexdigest()
