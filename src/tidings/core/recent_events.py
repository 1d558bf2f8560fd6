"""The newest events of a tenant, kept for those who listen: few, and for all of them once.

Who listens holds nothing but the place up to which it has read. As long as that place is covered,
what follows is taken from here; who falls behind it reads from the store, at its own pace. So a
slow listener costs no memory and holds up nobody.
"""

from bisect import bisect_right

from tidings.core import limits
from tidings.core.event import CommittedEvent


class RecentEvents:
    """Every event with a `seq` above `covers_after`, up to `through_seq`; bounded in both senses.

    The oldest go when there are more than `STREAM_RECENT_EVENTS_MAX` of them, or more than
    `STREAM_RECENT_BYTES_MAX` bytes; an event that is larger than that alone goes at once.
    """

    def __init__(self, after_seq: int) -> None:
        self.covers_after = after_seq
        self.through_seq = after_seq
        self._events: list[CommittedEvent] = []
        self._seqs: list[int] = []
        self._bytes = 0

    def extend(self, events: list[CommittedEvent], through_seq: int) -> None:
        """Add what follows: all that there is up to `through_seq`."""
        self._events += events
        self._seqs += [event.seq for event in events]
        self._bytes += sum(len(event.body) for event in events)
        self.through_seq = max(self.through_seq, through_seq)
        self._trim()

    def after(self, seq: int) -> list[CommittedEvent]:
        """The events above a place, which must be covered."""
        assert seq >= self.covers_after
        return self._events[bisect_right(self._seqs, seq) :]

    def _trim(self) -> None:
        gone = max(0, len(self._events) - limits.STREAM_RECENT_EVENTS_MAX)
        kept_bytes = self._bytes - sum(len(event.body) for event in self._events[:gone])
        while kept_bytes > limits.STREAM_RECENT_BYTES_MAX:
            kept_bytes -= len(self._events[gone].body)
            gone += 1
        if gone:
            self.covers_after = self._seqs[gone - 1]
            self._bytes = kept_bytes
            del self._events[:gone], self._seqs[:gone]
