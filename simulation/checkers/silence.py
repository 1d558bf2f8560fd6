"""What is paused, disabled, deleted, ended or erased is sent nothing from then on."""

from collections.abc import Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener


class Silence(Checker):
    """Compares each request with what the process had been told when it made it."""

    promise: ClassVar[str] = "nothing is sent that was called off"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        return {facts.Sent: self._sent}

    def _sent(self, fact: facts.Sent) -> None:
        wire = fact.wire
        self.expect(wire.subscription_id, f"{wire.url} belongs to nobody")
        seen = self.record.subscriptions[wire.subscription_id]
        self.expect(
            seen.told.status == "active",
            f"{wire.webhook_id} is sent to {wire.subscription_id}, which is {seen.told.status}",
        )
        self.expect(
            wire.url == seen.told.callback_url,
            f"{wire.webhook_id} is sent to {wire.url} after the change to {seen.told.callback_url}",
        )
        self.expect(wire.delivery_id, f"{wire.webhook_id} to {wire.url} is nobody's delivery")
        delivery = self.record.deliveries[wire.delivery_id]
        self.expect(
            delivery.row is not None or not self.record.is_told(delivery.left_in),
            f"{wire.delivery_id} is sent after its end",
        )
        event = self.record.events[delivery.event_seq]
        self.expect(
            not self.record.is_told(event.emptied_in),
            f"{wire.webhook_id} is sent after its data was erased",
        )
