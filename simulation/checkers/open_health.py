"""An endpoint that fails and fails gets probes only, until one of them succeeds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener

_FAILURES = 10
_FAILING_MS = 60_000
_FIRST_MS, _LAST_MS = 30_000, 30 * 60_000
_JITTER = 0.8
_ROUNDING_MS = 2


@dataclass
class _Endpoint:
    """A simple model of one endpoint. `probes` are failures, from the one that opened it on.

    Requests up to the number `sent_before` were on their way when it opened.
    """

    failures: int = 0
    since_ms: int = 0
    sent_before: int = 0
    probes: list[facts.Wire] = field(default_factory=list)

    @property
    def interval_ms(self) -> float:
        """The time from one probe to the next, without its spread."""
        return min(_FIRST_MS * 2.0 ** (len(self.probes) - 1), _LAST_MS)


class OpenHealth(Checker):
    """Counts failures as they come back, and measures the time between probes."""

    promise: ClassVar[str] = "an open endpoint gets nothing but probes"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._endpoints: dict[str, _Endpoint] = {}
        return {
            facts.Returned: self._returned,
            facts.Sent: self._sent,
            facts.SubscriptionStored: self._stored,
            facts.LifeBegan: self._life_began,
        }

    def _stored(self, fact: facts.SubscriptionStored) -> None:
        history = self.record.subscriptions[fact.subscription_id].history
        if len(history) > 1 and fact.status == "active" and history[-2][1].status != "active":
            self._endpoints.pop(fact.subscription_id, None)

    def _life_began(self, _fact: facts.LifeBegan) -> None:
        """What was not recorded is forgotten; counts that are not stored begin anew."""
        for name, endpoint in list(self._endpoints.items()):
            while endpoint.probes and not self.record.has_attempt(endpoint.probes[-1]):
                endpoint.probes.pop()
            if not endpoint.probes:
                del self._endpoints[name]

    def _returned(self, fact: facts.Returned) -> None:
        wire = fact.wire
        if not wire.subscription_id:
            return
        assert wire.answer is not None
        if wire.answer.error_class == "internal":
            return
        if wire.is_success:
            self._endpoints.pop(wire.subscription_id, None)
            return
        endpoint = self._endpoints.setdefault(wire.subscription_id, _Endpoint())
        if endpoint.probes:
            if wire.number > endpoint.sent_before and not wire.is_manual:
                endpoint.probes.append(wire)
            return
        endpoint.failures += 1
        if endpoint.failures == 1:
            endpoint.since_ms = wire.returned_wall_ms
        lasted_ms = wire.returned_wall_ms - endpoint.since_ms
        if endpoint.failures >= _FAILURES and lasted_ms >= _FAILING_MS:
            endpoint.probes.append(wire)
            endpoint.sent_before = len(self.record.wires)

    def _sent(self, fact: facts.Sent) -> None:
        wire = fact.wire
        endpoint = self._endpoints.get(wire.subscription_id)
        if endpoint is None or not endpoint.probes or wire.is_manual:
            return
        last = endpoint.probes[-1]
        due_ms = last.returned_wall_ms + _JITTER * endpoint.interval_ms
        self.expect(
            wire.wall_ms >= due_ms - _ROUNDING_MS,
            f"{wire.subscription_id} is open, and gets a request "
            f"{due_ms - wire.wall_ms:.0f} ms before its next probe",
        )
        others = [
            one
            for one in self.record.in_flight.values()
            if one.subscription_id == wire.subscription_id
            and one.number > endpoint.sent_before
            and one is not wire
            and not one.is_manual
        ]
        self.expect(not others, f"{wire.subscription_id} is open, and gets two requests at once")
