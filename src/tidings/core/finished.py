"""Which rows have ended while a read was under way, so that nothing is sent from a stale page.

A read may have begun before the commit that ended a row, and so still see it. An ended row is
therefore remembered until every read that began before is processed.
"""

from collections import deque


class FinishedRows:
    """The `seq` of rows that ended while reads were under way."""

    __slots__ = ("_count", "_order", "_reading", "_seqs")

    def __init__(self) -> None:
        self._count = 0
        self._reading: dict[int, None] = {}
        self._order: deque[tuple[int, int]] = deque()
        self._seqs: set[int] = set()

    def __contains__(self, seq: int) -> bool:
        return seq in self._seqs

    def __len__(self) -> int:
        return len(self._seqs)

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
            self._seqs.discard(self._order.popleft()[1])

    def add(self, seq: int) -> None:
        """Note that a row has ended."""
        if self._reading:
            self._order.append((self._count, seq))
            self._seqs.add(seq)
