"""The retries of the next minute, in memory and in the order of their due time.

Everything that is due up to the horizon is here (or with its endpoint); what lies behind it stands
only in the queue table, and is read in windows before its time comes. Where shards have owners, all
of this is about ours alone.
"""

import heapq
from collections.abc import Collection
from math import inf

from tidings.core import limits
from tidings.core.commands import ReadDueWindow
from tidings.core.delivery import Delivery
from tidings.core.finished import FinishedRows

_PAGE_ROWS = 1_000
_SEQ_MAX = (1 << 63) - 1


class DueWindow:
    """A heap of rows by due time, and how far the table has been read."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Delivery]] = []
        self._count = 0
        self._horizon: tuple[int, int] = (-1, -1)
        self._reading_until_ms: int | None = None
        self._restarts = False
        self._is_crowded = False
        self._shards: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self._heap)

    def covers(self, due_at_ms: int) -> bool:
        """Whether a row that is due then belongs into memory.

        While a window is being read it counts as covered, because the read may have begun before
        the row was written; what comes twice is recognised by its `seq`.
        """
        until_ms = None if self._restarts else self._reading_until_ms
        return due_at_ms <= (self._horizon[0] if until_ms is None else until_ms)

    def make_room(self) -> list[Delivery]:
        """Give up the later half of the rows if there is no place for another one; answers them.

        The horizon moves back before them, and they are read again when many others are gone.
        """
        if len(self._heap) < limits.DUE_ROWS_IN_MEMORY_MAX:
            return []
        self._heap.sort()
        half = (len(self._heap) + 1) // 2
        given_up = [one[-1] for one in self._heap[half:]]
        del self._heap[half:]
        due_at_ms, seq, _, _ = self._heap[-1]
        self._read_from(due_at_ms, seq)
        self._is_crowded = True
        return given_up

    def push(self, delivery: Delivery) -> None:
        """Take in a row that the window covers."""
        assert delivery.due_at_ms is not None
        # The count sets versions of the same row apart, which cannot be compared.
        self._count += 1
        heapq.heappush(self._heap, (delivery.due_at_ms, delivery.seq, self._count, delivery))

    def pop_due(self, now_ms: int) -> Delivery | None:
        """Remove and answer a row whose time has come."""
        if self._heap and self._heap[0][0] <= now_ms:
            return heapq.heappop(self._heap)[-1]
        return None

    def next_wake_ms(self) -> float:
        """When the next row is due or the next window must be read, whichever comes first."""
        due_ms = self._heap[0][0] if self._heap else inf
        if self._reading_until_ms is not None or not self._may_read():
            return due_ms
        return min(due_ms, self._horizon[0] - limits.DUE_WINDOW_MS // 2)

    def next_read(self, now_ms: int, finished: FinishedRows) -> ReadDueWindow | None:
        """The read that is needed now, if any."""
        if self._reading_until_ms is not None or not self._may_read():
            return None
        if self._horizon[0] - now_ms > limits.DUE_WINDOW_MS // 2:
            return None
        self._is_crowded = False
        until_ms = self._reading_until_ms = now_ms + limits.DUE_WINDOW_MS
        reading = finished.begin_read()
        return ReadDueWindow(self._horizon, until_ms, _PAGE_ROWS, reading, self._shards)

    def read_finished(self, rows: list[Delivery], read: ReadDueWindow) -> None:
        """Move the horizon as far as the rows reach."""
        self._reading_until_ms = None
        if self._restarts:
            self._restarts = False
        elif len(rows) < read.limit:
            self._horizon = (read.until_ms, _SEQ_MAX)
        else:
            last = rows[-1]
            assert last.due_at_ms is not None
            self._horizon = (last.due_at_ms, last.seq)

    def read_failed(self) -> None:
        """Leave the horizon where it is; the window will be asked for again."""
        self._reading_until_ms = None
        self._restarts = False

    def restart(self) -> None:
        """Have the table read from the first due row on, also if a read is under way."""
        self._read_from(-1, -1)

    def follow(self, shards: Collection[int]) -> None:
        """Read rows of these shards only; of none, there is nothing to read."""
        self._shards = tuple(sorted(shards))

    def drop(self, subscription_ids: Collection[str]) -> list[Delivery]:
        """Forget the rows of some subscriptions; answers them, in whatever versions."""
        dropped = [one[-1] for one in self._heap if one[-1].subscription_id in subscription_ids]
        if dropped:
            self._heap = [
                one for one in self._heap if one[-1].subscription_id not in subscription_ids
            ]
            heapq.heapify(self._heap)
        return dropped

    def _read_from(self, due_at_ms: int, seq: int) -> None:
        """Move the horizon back; a read that is under way does not move it on."""
        self._horizon = (due_at_ms, seq)
        self._restarts = self._reading_until_ms is not None

    def _may_read(self) -> bool:
        rows_max = limits.DUE_ROWS_IN_MEMORY_MAX
        if self._is_crowded:
            # What was given up a moment ago would be again.
            rows_max = max(1, rows_max // 4)
        return len(self._heap) < rows_max and self._shards != ()
