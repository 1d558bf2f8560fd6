"""A round has as many attempts as its policy says: no more, and none less before giving up."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from simulation.policies import waits_of
from simulation.record import SeenDelivery


class AttemptsInPolicy(Checker):
    """Counts requests by round, against every policy that was in force during the round."""

    promise: ClassVar[str] = "attempts stay within the policy"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._began: dict[int, float] = {}
        self._singles: set[int] = set()
        self._counted: Counter[int] = Counter()
        self._seq_of: dict[str, int] = {}
        return {
            facts.RowQueued: self._queued,
            facts.Sent: self._sent,
            facts.FinishedStored: self._finished,
        }

    def _queued(self, fact: facts.RowQueued) -> None:
        self._began[fact.seq] = self.record.now
        self._seq_of[fact.delivery_id] = fact.seq
        if fact.is_single:
            self._singles.add(fact.seq)

    def _sent(self, fact: facts.Sent) -> None:
        wire = fact.wire
        if not wire.row_seq or wire.is_manual:
            return
        delivery = self.record.deliveries[wire.delivery_id]
        made = sum(1 for one in self._counting(delivery, wire.row_seq) if one is not wire)
        allowed = max(self._allowed(delivery, wire.row_seq))
        self.expect(
            made < allowed,
            f"{wire.delivery_id} has had {made} of {allowed} attempts, and gets another",
        )

    def _finished(self, fact: facts.FinishedStored) -> None:
        if fact.reason != "attempts_exhausted" or fact.was is not None:
            return
        delivery = self.record.deliveries[fact.delivery_id]
        seq = self._seq_of[fact.delivery_id]
        made = sum(1 for _ in self._counting(delivery, seq))
        allowed = min(self._allowed(delivery, seq))
        self.expect(
            made >= allowed, f"{fact.delivery_id} was given up after {made} of {allowed} attempts"
        )

    def _counting(self, delivery: SeenDelivery, seq: int) -> Iterator[facts.Wire]:
        """The requests of a round that use up the schedule: on record, and not our own fault."""
        stored = {one.started_at_ms: one.outcome for one in delivery.attempts.values()}
        for wire in delivery.wires:
            if wire.row_seq != seq or wire.is_manual:
                continue
            is_present = wire.life == self.record.life.number
            outcome = stored.get(wire.wall_ms)
            error = None if wire.answer is None else wire.answer.error_class
            if outcome != "our_fault" and error != "internal" and (outcome or is_present):
                yield wire

    def _allowed(self, delivery: SeenDelivery, seq: int) -> list[int]:
        if seq in self._singles:
            return [1]
        history = self.record.subscriptions[delivery.subscription_id].history
        stored = [one for at, one in history if at >= self._began[seq]]
        before = [one for at, one in history if at < self._began[seq]]
        return [len(waits_of(one.retry_policy)) + 1 for one in (*before[-1:], *stored)]
