"""Which delivery of an ordering key may go next.

A lane is the unfinished deliveries of one subscription that share an ordering key. Only its head,
the lowest `seq`, may be tried, and it blocks the lane until it ends. The others are parked: they
stand in the queue table alone, and the store hands over the next one when a head ends.
"""

from tidings.core.delivery import Delivery


class Lanes:
    """The heads of one subscription's lanes."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._heads)

    def admits(self, delivery: Delivery) -> bool:
        """Whether the delivery may go, taking its lane; False when it is parked behind a head."""
        key = delivery.ordering_key
        if key is None:
            return True
        return self._heads.setdefault(key, delivery.seq) == delivery.seq

    def release(self, delivery: Delivery) -> None:
        """Free the lane of a head that has ended."""
        key = delivery.ordering_key
        if key is not None and self._heads.get(key) == delivery.seq:
            del self._heads[key]

    def clear(self) -> None:
        """Forget all lanes."""
        self._heads.clear()
