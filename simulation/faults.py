"""The faults around a process: which one strikes now is a draw from the seed.

Faults strike while `are_on`; the second phase of a world switches them off for good.
"""

import random
from collections.abc import Callable
from enum import Enum, auto

from simulation.journal import Journal
from simulation.plan import Plan

_COMMIT_SECONDS = (0.0005, 0.004)
_ANSWER_SECONDS = (0.0, 0.001)
_SLOW_SECONDS = (0.3, 20.0)
_READ_SECONDS = (0.0002, 0.002)
_STALE_SECONDS = (0.01, 10.0)
READ_SECONDS_MAX = _READ_SECONDS[1] + _STALE_SECONDS[1]
"""What a read takes at most."""
_ANY_STATEMENT = 1 << 30


class CommitFault(Enum):
    """What may happen to one transaction."""

    NONE = auto()
    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()
    UNKNOWN = auto()
    FULL = auto()
    BROKEN = auto()
    BUSY = auto()


_COMMIT_FAULTS = {
    "crash_before_commit": CommitFault.CRASH_BEFORE,
    "crash_after_commit": CommitFault.CRASH_AFTER,
    "commit_unknown": CommitFault.UNKNOWN,
    "disk_full": CommitFault.FULL,
    "io_error": CommitFault.BROKEN,
    "database_busy": CommitFault.BUSY,
}


class Faults:
    """The faults of one world: draws, counts and tells them."""

    def __init__(self, plan: Plan, draws: random.Random, journal: Journal) -> None:
        self.are_on = True
        self._plan = plan
        self._draws = draws
        self._journal = journal

    def strikes(self, fault: str) -> bool:
        """Whether this fault happens now; then it is counted and told."""
        rarity = self._plan.rarities.get(fault)
        if rarity is None or not self.are_on or self._draws.random() * rarity >= 1:
            return False
        self._journal.disturb(fault)
        return True

    def between(self, low: float, high: float) -> float:
        """A draw between two bounds."""
        return low + (high - low) * self._draws.random()

    def widely(self, low: float, high: float) -> float:
        """A draw between two bounds, small ones as likely as great ones."""
        return low * float((high / low) ** self._draws.random())


class StoreFaults:
    """What the database of one process suffers."""

    def __init__(self, faults: Faults, crash: Callable[[str], None]) -> None:
        self._faults = faults
        self.crash = crash
        self.is_away = False

    def commit_seconds(self) -> float:
        """How long writes wait for their transaction."""
        if self._faults.strikes("commit_slow"):
            return self._faults.widely(*_SLOW_SECONDS)
        return self._faults.between(*_COMMIT_SECONDS)

    def answer_seconds(self) -> float:
        """How long it takes from the commit until the process hears of it."""
        return self._faults.between(*_ANSWER_SECONDS)

    def next_commit(self) -> CommitFault:
        """What happens to the next transaction."""
        if self.is_away:
            return CommitFault.BROKEN
        for name, fault in _COMMIT_FAULTS.items():
            if self._faults.strikes(name):
                return fault
        return CommitFault.NONE

    def statements(self, fault: CommitFault) -> int:
        """After how many statements a transaction fails."""
        if fault is CommitFault.UNKNOWN:
            return _ANY_STATEMENT
        return int(self._faults.between(0, 12))

    def next_read(self) -> tuple[float, float, bool]:
        """How long a read waits before and after it sees the database, and whether it fails."""
        before = self._faults.between(*_READ_SECONDS)
        after = 0.0
        if self._faults.strikes("read_stale"):
            after = self._faults.widely(*_STALE_SECONDS)
        return before, after, self.is_away or self._faults.strikes("read_failed")
