"""Nothing accepted is lost: it is durable when its publisher hears so, and it comes to an end."""

from collections.abc import Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from tidings.core.event import Accepted


class NothingLost(Checker):
    """Looks for the event behind each 202, and for deliveries that never end."""

    promise: ClassVar[str] = "nothing accepted is lost"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        return {facts.Told: self._told}

    def _told(self, fact: facts.Told) -> None:
        call = fact.call
        if call.verb != "publish" or call.answer is None:
            return
        for accepted in call.answer:
            if isinstance(accepted, Accepted):
                place = (call.tenant_id, accepted.event_id)
                self.expect(
                    place in self.record.event_named,
                    f"{accepted.event_id} was accepted and is not in the database",
                )

    def at_rest(self) -> None:
        """Every delivery, every replay and every call has come to its end."""
        unfinished = sorted(self.record.replays_unfinished)
        self.expect(not unfinished, f"the replays {unfinished} never end")
        for call in self.record.calls:
            self.expect(call.told_at is not None, f"{call.verb}, call {call.number}, has no answer")
        for delivery in self.record.deliveries.values():
            if self.record.events[delivery.event_seq].is_erased:
                continue
            row = delivery.row
            self.expect(
                row is None,
                f"{delivery.delivery_id} to {delivery.subscription_id} never ends: {row}",
            )
            self.expect(
                delivery.finished is not None,
                f"{delivery.delivery_id} to {delivery.subscription_id} is nowhere",
            )
