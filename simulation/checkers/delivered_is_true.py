"""A delivery is delivered only if the receiver said so."""

from collections.abc import Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener


class DeliveredIsTrue(Checker):
    """Looks for the receiver's 2xx behind each end that claims one."""

    promise: ClassVar[str] = "delivered only if the receiver said so"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        return {facts.FinishedStored: self._finished}

    def _finished(self, fact: facts.FinishedStored) -> None:
        if fact.status != "delivered":
            return
        delivery = self.record.deliveries[fact.delivery_id]
        said_so = any(
            wire.said is not None and 200 <= wire.said < 300 and wire.returned_at is not None
            for wire in delivery.wires
        )
        self.expect(said_so, f"{fact.delivery_id} is delivered, and no receiver said so")
