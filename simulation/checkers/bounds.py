"""Slots, queues and memory stay within the bounds of `core/limits.py`."""

from collections import Counter, deque
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.faults import READ_SECONDS_MAX
from simulation.journal import Listener
from tidings.core import limits


class Bounds(Checker):
    """Counts requests in flight itself; what is in memory is measured after each commit."""

    promise: ClassVar[str] = "slots, queues and memory stay within their bounds"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._changes = 0
        self._untold: dict[int, int] = {}
        self._told: deque[tuple[float, int]] = deque()
        return {
            facts.Sent: self._sent,
            facts.RowChanged: self._row_changed,
            facts.RowLeft: self._row_changed,
            facts.Committed: self._committed,
            facts.CommitTold: self._commit_told,
            facts.Measured: self._measured,
        }

    def _row_changed(self, _fact: facts.RowChanged | facts.RowLeft) -> None:
        self._changes += 1

    def _committed(self, fact: facts.Committed) -> None:
        self._untold[fact.number] = self._changes
        self._changes = 0

    def _commit_told(self, fact: facts.CommitTold) -> None:
        for number in [number for number in self._untold if number <= fact.number]:
            self._told.append((self.record.now, self._untold.pop(number)))

    def _changed_during_a_read(self) -> int:
        """How many rows may have changed since the oldest read began that is still under way."""
        while self._told and self._told[0][0] < self.record.now - READ_SECONDS_MAX:
            self._told.popleft()
        return sum(count for _, count in self._told) + sum(self._untold.values())

    def _sent(self, _fact: facts.Sent) -> None:
        plan = self.record.plan
        in_flight = self.record.in_flight.values()
        self.expect(
            len(in_flight) <= plan.concurrency_max,
            f"{len(in_flight)} requests are in flight, {plan.concurrency_max} may be",
        )
        automatic = [one for one in in_flight if not one.is_manual]
        hosts = Counter(urlsplit(one.url).hostname for one in automatic)
        endpoints = Counter(one.subscription_id for one in automatic)
        for found, bound in (
            (hosts, plan.bounds["HOST_CONCURRENCY_MAX"]),
            (endpoints, plan.bounds["ENDPOINT_CONCURRENCY_MAX"]),
        ):
            for name, count in found.items():
                self.expect(count <= bound, f"{count} requests to {name}, {bound} may be")

    def _measured(self, fact: facts.Measured) -> None:
        plan = self.record.plan
        # A result may come back for every request in flight when the bound is reached.
        unrecorded_max = plan.bounds["RESULTS_UNRECORDED_MAX"] + 1 + plan.concurrency_max
        # What is under way has bounds of its own, and holds no place that somebody could wait for.
        under_way = fact.unrecorded + plan.concurrency_max
        rows_max = (
            plan.bounds["ROWS_IN_MEMORY_MAX"]
            + plan.bounds["DUE_ROWS_IN_MEMORY_MAX"]
            + 2 * len(self.record.subscriptions) * limits.ENDPOINT_ROWS_MIN
            + under_way
        )
        for name, found, bound in (
            ("results wait", fact.unrecorded, unrecorded_max),
            ("rows are in memory", fact.rows, rows_max),
            ("bytes of bodies are cached", fact.body_bytes, plan.bounds["BODY_CACHE_BYTES_MAX"]),
            ("rows are remembered as finished", fact.finished_rows, self._changed_during_a_read()),
        ):
            self.expect(found <= bound, f"{found} {name}, {bound} may")
