"""Slots, queues and memory stay within the bounds of `core/limits.py`."""

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from tidings.core import limits


class Bounds(Checker):
    """Counts requests in flight itself; what is in memory is measured after each commit."""

    promise: ClassVar[str] = "slots, queues and memory stay within their bounds"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        return {facts.Sent: self._sent, facts.Measured: self._measured}

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
            ("rows are remembered as finished", fact.finished_rows, rows_max),
        ):
            self.expect(found <= bound, f"{found} {name}, {bound} may")
