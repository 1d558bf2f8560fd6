"""What the engine counts, in the text format of Prometheus."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tidings.core.attempt import Attempt, Outcome
from tidings.core.catalogue import CheckOutcome
from tidings.core.content_filter import FilterOutcome
from tidings.ports.store import Committed

_LATENCY_BUCKETS_MS = (5, 20, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)


class _Attempts(Collector):
    """Counts attempts, which are so many that the library's counters with their locks cost much."""

    def __init__(self) -> None:
        self.by_outcome = dict.fromkeys(Outcome, 0)
        self.by_bucket = [0] * (len(_LATENCY_BUCKETS_MS) + 1)
        self.duration_ms = 0

    def collect(self) -> Iterator[Metric]:
        """The counts as they are now."""
        attempts = CounterMetricFamily(
            "tidings_attempts", "Attempts made, by outcome.", labels=["outcome"]
        )
        for outcome, count in self.by_outcome.items():
            attempts.add_metric([outcome.value], count)
        yield attempts
        bounds = [*(str(bound / 1_000) for bound in _LATENCY_BUCKETS_MS), "+Inf"]
        yield HistogramMetricFamily(
            "tidings_attempt_duration_seconds",
            "How long attempts took, from DNS to the end of the answer.",
            buckets=list(zip(bounds, accumulate(self.by_bucket), strict=True)),
            sum_value=self.duration_ms / 1_000,
        )


class Telemetry:
    """Counters and gauges of this process. Labels are few and bounded: never a URL, never an id."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._attempts = _Attempts()
        self.registry.register(self._attempts)
        self._queued = Counter(
            "tidings_deliveries_queued",
            "Deliveries that entered the queue: new ones, replays and manual retries.",
            registry=self.registry,
        )
        self._ended = Counter(
            "tidings_deliveries_ended", "Deliveries that left the queue.", registry=self.registry
        )
        filtered = Counter(
            "tidings_filters_asked",
            "Content filters asked, by what they said. Only `match` made a delivery; "
            "`type_mismatch` met values of another type than the filter wants, `too_costly` was "
            "given up.",
            ["outcome"],
            registry=self.registry,
        )
        self._filtered = {outcome: filtered.labels(outcome.value) for outcome in FilterOutcome}

        checks = Counter(
            "tidings_events_checked",
            "Published data that were checked by a schema: `valid`, `invalid` but let in, "
            "`refused`, or `unchecked` because they were too large.",
            ["outcome"],
            registry=self.registry,
        )
        self._checks = {outcome: checks.labels(outcome.value) for outcome in CheckOutcome}

    def data_checked(self, outcome: CheckOutcome) -> None:
        """Count a check of an event's data."""
        self._checks[outcome].inc()

    def gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Show a value that is asked for whenever somebody looks."""
        Gauge(name, meaning, registry=self.registry).set_function(value)

    def attempt_finished(self, attempt: Attempt) -> None:
        """Count an attempt."""
        counted, duration_ms = self._attempts, attempt.duration_ms
        counted.by_outcome[attempt.outcome] += 1
        counted.by_bucket[bisect_left(_LATENCY_BUCKETS_MS, duration_ms)] += 1
        counted.duration_ms += duration_ms

    def committed(self, changes: Committed) -> None:
        """Count what a commit changed."""
        if changes.arrived:
            self._queued.inc(len(changes.arrived))
        ended = len(changes.ended) + sum(
            1
            for result, recorded in changes.recorded
            if result.ending is not None and recorded.applied
        )
        if ended:
            self._ended.inc(ended)
        for outcome, times in changes.filter_outcomes.items():
            self._filtered[outcome].inc(times)

    def exposition(self) -> bytes:
        """Everything, in the text format."""
        return generate_latest(self.registry)
