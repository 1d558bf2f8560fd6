"""Every request is an attempt on record, and every attempt on record was a request."""

from collections.abc import Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from simulation.policies import outcome_of


class AttemptsOnRecord(Checker):
    """Matches the wire and the log, by the delivery and the moment at which a request began."""

    promise: ClassVar[str] = "every request is an attempt on record, and nothing else is"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._returned: dict[tuple[str, int], facts.Wire] = {}
        self._unrecorded: dict[tuple[str, int], facts.Wire] = {}
        return {
            facts.Returned: self._wire_returned,
            facts.AttemptStored: self._stored,
            facts.LifeEnded: self._life_ended,
        }

    def _wire_returned(self, fact: facts.Returned) -> None:
        wire = fact.wire
        if wire.delivery_id:
            place = (wire.delivery_id, wire.wall_ms)
            self._returned[place] = self._unrecorded[place] = wire

    def _stored(self, fact: facts.AttemptStored) -> None:
        place = (fact.delivery_id, fact.started_at_ms)
        wire = self._returned.get(place)
        if wire is None:
            self.broken(f"attempt {fact.number} of {fact.delivery_id} was never made")
        self._unrecorded.pop(place, None)
        assert wire.answer is not None
        status, error = wire.answer.status_code, wire.answer.error_class
        self.expect(
            (fact.status_code, fact.outcome) == (status, outcome_of(status, error)),
            f"attempt {fact.number} of {fact.delivery_id} had {wire.answer}, on record is {fact}",
        )
        delivery = self.record.deliveries[fact.delivery_id]
        numbers = sorted(delivery.attempts)
        self.expect(
            numbers == list(range(1, len(numbers) + 1)),
            f"the attempts of {fact.delivery_id} are numbered {numbers}",
        )

    def _life_ended(self, fact: facts.LifeEnded) -> None:
        if fact.how == "stopped":
            self._judge()
        self._unrecorded.clear()

    def at_rest(self) -> None:
        """Everything that came back in the last life is on record."""
        self._judge()

    def _judge(self) -> None:
        for wire in self._unrecorded.values():
            delivery = self.record.deliveries[wire.delivery_id]
            tenant_is_erased = self.record.is_erased(delivery)
            self.expect(
                tenant_is_erased or self.record.now - (wire.returned_at or 0) < 1,
                f"request {wire.number} of {wire.delivery_id} is not on record",
            )
