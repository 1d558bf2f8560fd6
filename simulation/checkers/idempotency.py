"""Repeating a publish changes nothing, and is answered as the first time."""

from collections.abc import Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from tidings.core.event import Accepted
from tidings.core.refusals import Refusal, Unavailable


class Idempotency(Checker):
    """Remembers the first answer to each id and each key."""

    promise: ClassVar[str] = "a repeated publish is answered like the first and adds nothing"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._first: dict[tuple[str, str], tuple[bytes, Accepted, int]] = {}
        self._stored_as: dict[tuple[str, str], int] = {}
        return {facts.Told: self._told, facts.EventStored: self._stored}

    def _stored(self, fact: facts.EventStored) -> None:
        place = (fact.tenant_id, fact.event_id)
        before = self._stored_as.get(place)
        self.expect(
            before is None or self._is_gone(before),
            f"{fact.event_id} of {fact.tenant_id} is stored twice",
        )
        self._stored_as[place] = fact.seq

    def _told(self, fact: facts.Told) -> None:
        call = fact.call
        if call.verb != "publish" or call.answer is None:
            return
        for publication, answer in zip(call.about["events"], call.answer, strict=True):
            name = publication.event_id or f"key:{publication.idempotency_key}"
            first = self._first.get((call.tenant_id, name))
            if isinstance(answer, Unavailable):
                continue
            if isinstance(answer, Refusal):
                self.expect(
                    first is None or first[0] != publication.data or self._is_gone(first[2]),
                    f"a repeat of {name} is refused: {answer.code}",
                )
                continue
            event = self.record.event_named[call.tenant_id, answer.event_id]
            if first is None or self._is_gone(first[2]):
                self._first[call.tenant_id, name] = (publication.data, answer, event.seq)
                continue
            data, accepted, _ = first
            self.expect(data == publication.data, f"{name} is accepted with other content")
            same = (accepted.event_id, accepted.occurred_at, accepted.deliveries)
            self.expect(
                same == (answer.event_id, answer.occurred_at, answer.deliveries),
                f"{name} was answered {accepted}, and then {answer}",
            )

    def _is_gone(self, seq: int) -> bool:
        return self.record.events[seq].is_erased
