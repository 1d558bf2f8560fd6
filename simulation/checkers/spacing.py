"""No attempt comes sooner than its policy's wait and the receiver's Retry-After allow."""

from collections.abc import Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from simulation.policies import asked_until_ms, outcome_of, waits_of
from simulation.record import SeenDelivery

_JITTER = 0.8
_OUR_FAULT_SECONDS = 5.0
_ROUNDING_MS = 2


class Spacing(Checker):
    """Measures by the server's wall clock, which is the one that promises are given in."""

    promise: ClassVar[str] = "no attempt comes too soon"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._held_until: dict[str, tuple[int, facts.Wire]] = {}
        self._put_back: list[tuple[float, int]] = []
        return {
            facts.Disturbed: self._disturbed,
            facts.Sent: self._sent,
            facts.Returned: self._returned,
            facts.SubscriptionStored: self._subscription_stored,
            facts.LifeBegan: self._life_began,
        }

    def _disturbed(self, fact: facts.Disturbed) -> None:
        if fact.fault == "clock_back":
            self._put_back.append((self.record.now, self.record.clock.now_ms()))

    def _latest_ms(self, wire: facts.Wire, since: facts.Wire) -> int:
        """The latest time that the clock has shown from the end of one request to another.

        A wait that is over does not begin anew when the clock is put back behind its end.
        """
        returned_at = since.returned_at or 0.0
        return max([wire.wall_ms, *(wall for at, wall in self._put_back if at >= returned_at)])

    def _returned(self, fact: facts.Returned) -> None:
        wire = fact.wire
        assert wire.answer is not None
        until_ms = asked_until_ms(wire.answer.retry_after, wire.returned_wall_ms)
        if wire.answer.status_code in (429, 503) and until_ms is not None:
            held = self._held_until.get(wire.subscription_id)
            if held is None or held[0] < until_ms:
                self._held_until[wire.subscription_id] = (until_ms, wire)

    def _subscription_stored(self, fact: facts.SubscriptionStored) -> None:
        """A resume forgets everything about the endpoint, and so does a new address."""
        history = self.record.subscriptions[fact.subscription_id].history
        if len(history) > 1:
            before = history[-2][1]
            was_off = before.status != "active" and fact.status == "active"
            if was_off or before.callback_url != fact.callback_url:
                self._held_until.pop(fact.subscription_id, None)

    def _life_began(self, _fact: facts.LifeBegan) -> None:
        """What a process knew and had not recorded died with it."""
        for name, (_, wire) in list(self._held_until.items()):
            if not self.record.has_attempt(wire):
                del self._held_until[name]

    def _sent(self, fact: facts.Sent) -> None:
        wire = fact.wire
        if wire.is_manual or not wire.row_seq:
            return
        held = self._held_until.get(wire.subscription_id)
        self.expect(
            held is None or self._latest_ms(wire, held[1]) >= held[0] - _ROUNDING_MS,
            f"{wire.subscription_id} asked for rest until {held and held[0]}, "
            f"and got {wire.webhook_id} at {wire.wall_ms}",
        )
        delivery = self.record.deliveries[wire.delivery_id]
        counting = [
            one
            for one in delivery.wires
            if one.row_seq == wire.row_seq
            and one is not wire
            and not one.is_manual
            and self.record.has_attempt(one)
        ]
        if counting:
            due_ms = self._due_ms(delivery, counting)
            self.expect(
                self._latest_ms(wire, counting[-1]) >= due_ms - _ROUNDING_MS,
                f"{wire.delivery_id} is tried at {wire.wall_ms}, {due_ms - wire.wall_ms} ms early",
            )

    def _due_ms(self, delivery: SeenDelivery, counting: list[facts.Wire]) -> float:
        last = counting[-1]
        assert last.answer is not None
        outcomes = [
            outcome_of(one.answer.status_code, one.answer.error_class)
            for one in counting
            if one.answer is not None
        ]
        if outcomes[-1] == "our_fault":
            return last.returned_wall_ms + _JITTER * _OUR_FAULT_SECONDS * 1_000
        place = sum(outcome != "our_fault" for outcome in outcomes)
        history = self.record.subscriptions[delivery.subscription_id].history
        in_force = [one for at, one in history if at >= last.at] + [
            one for at, one in history if at < last.at
        ][-1:]
        waits = [waits_of(one.retry_policy)[place - 1 : place] for one in in_force]
        wait = min((one[0] for one in waits if one), default=0.0)
        asked_ms = asked_until_ms(last.answer.retry_after, last.returned_wall_ms) or 0
        return max(last.returned_wall_ms + _JITTER * wait * 1_000, asked_ms)
