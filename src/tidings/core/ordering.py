"""Which delivery of an ordering key may go next.

A lane is the unfinished deliveries of one subscription that share an ordering key. Only its head,
the lowest `seq`, may be tried, and it blocks the lane until it ends. The others are parked: they
stand in the queue table alone, and the store hands over the next one when a head ends.

Where rows are told of by a reader, a follower may be told of before the end of its head although
the transaction of that end did not see it. Nobody would hand it over, so that one was refused is
remembered until its lane is taken by it or by a later one.
"""

from tidings.core.delivery import Delivery


class Lanes:
    """The heads of one subscription's lanes, and the last follower that each has refused."""

    __slots__ = ("_heads", "_refused")

    def __init__(self) -> None:
        self._heads: dict[str, int] = {}
        self._refused: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._heads)

    def admits(self, delivery: Delivery) -> bool:
        """Whether the delivery may go, taking its lane; False when it is parked behind a head."""
        key, seq = delivery.ordering_key, delivery.seq
        if key is None:
            return True
        head = self._heads.setdefault(key, seq)
        if head == seq:
            if self._refused and self._refused.get(key, seq + 1) <= seq:
                del self._refused[key]
            return True
        if seq > head:
            self._refused[key] = max(seq, self._refused.get(key, 0))
        return False

    def is_taken(self, delivery: Delivery) -> bool:
        """Whether the delivery would be parked; then it counts as refused."""
        return delivery.ordering_key in self._heads and not self.admits(delivery)

    def release(self, delivery: Delivery) -> None:
        """Free the lane of a head that has ended."""
        key = delivery.ordering_key
        if key is not None and self._heads.get(key) == delivery.seq:
            del self._heads[key]

    def has_missed(self, ended: Delivery) -> bool:
        """Whether followers were refused that nobody has handed over, now that a head has ended.

        They are forgotten by that: whoever asks has them read.
        """
        key = ended.ordering_key
        if key is None or key in self._heads:
            return False
        return self._refused.pop(key, 0) > ended.seq

    def leave(self, delivery: Delivery) -> None:
        """Free the lane of a head that is read again, and all that follows with it."""
        self.release(delivery)
        if self._refused and delivery.ordering_key is not None:
            self._refused.pop(delivery.ordering_key, None)

    def clear(self) -> None:
        """Forget all lanes."""
        self._heads.clear()
        self._refused.clear()
