"""Which rows have changed while a read was under way, so that nothing is sent from a stale page.

A read may have begun before the commit that ended a row or put it off, and so still see it as it
was. What such a row has come to is therefore remembered until every read that began before is
processed.
"""

from collections import deque
from typing import Final

from tidings.core.delivery import Delivery

_ENDED: Final = 1 << 62


class FinishedRows:
    """The rows that ended, or saw an attempt, while reads were under way."""

    __slots__ = ("_attempts", "_count", "_order", "_reading")

    def __init__(self) -> None:
        self._count = 0
        self._reading: dict[int, None] = {}
        self._order: deque[tuple[int, int, int]] = deque()
        self._attempts: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._attempts)

    @property
    def newest_reading(self) -> int:
        """The read that began last, whether it is over or not."""
        return self._count

    def is_stale(self, delivery: Delivery) -> bool:
        """Whether a row that was read is older than what we know: it ended, or was tried since."""
        return delivery.attempt_count < self._attempts.get(delivery.seq, 0)

    def begin_read(self) -> int:
        """Note that a read begins; the answer names it."""
        self._count += 1
        self._reading[self._count] = None
        return self._count

    def end_read(self, reading: int) -> None:
        """Note that the rows of a read are processed."""
        self._reading.pop(reading, None)
        # Readings are named in ascending order, so the first that is left is the oldest.
        oldest = next(iter(self._reading), self._count + 1)
        while self._order and self._order[0][0] < oldest:
            _, seq, attempts = self._order.popleft()
            if self._attempts.get(seq) == attempts:
                del self._attempts[seq]

    def add(self, delivery: Delivery, *, has_ended: bool) -> None:
        """Note that a row has ended, or has come to what it is now by an attempt."""
        if self._reading:
            attempts = _ENDED if has_ended else delivery.attempt_count
            self._order.append((self._count, delivery.seq, attempts))
            self._attempts[delivery.seq] = attempts
