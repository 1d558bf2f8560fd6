"""A delivery is sent again after a success only where a crash window explains it."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener


class Duplicates(Checker):
    """Looks at what was sent before for the same row of the queue."""

    promise: ClassVar[str] = "duplicates come only from the named crash windows"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        return {facts.Sent: self._sent}

    def _sent(self, fact: facts.Sent) -> None:
        wire = fact.wire
        if not wire.delivery_id:
            return
        delivery = self.record.deliveries[wire.delivery_id]
        for earlier in delivery.wires[:-1]:
            if earlier.row_seq != wire.row_seq:
                continue
            if earlier.life == wire.life:
                self.expect(
                    earlier.number not in self.record.in_flight,
                    f"{wire.delivery_id} is sent while request {earlier.number} is in flight",
                )
                self.expect(
                    not earlier.is_success,
                    f"{wire.delivery_id} is sent again after a success in the same life",
                )
            elif _is_stored(delivery.attempts.values(), earlier):
                self.expect(
                    not earlier.is_success,
                    f"{wire.delivery_id} is sent again though its success was recorded",
                )
            elif earlier.said is not None and 200 <= earlier.said < 300:
                # W4: the receiver answered, and the process died before that was durable.
                self.record.journal.counted["window W4"] += 1


def _is_stored(attempts: Iterable[facts.AttemptStored], wire: facts.Wire) -> bool:
    return any(one.started_at_ms == wire.wall_ms for one in attempts)
