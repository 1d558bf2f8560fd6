"""What the engine counts, in the text format of Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tidings.core.attempt import Attempt, Outcome
from tidings.core.catalogue import CheckOutcome
from tidings.core.content_filter import FilterOutcome
from tidings.ports.store import Committed

_LATENCY_BUCKETS_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Telemetry:
    """Counters and gauges of this process. Labels are few and bounded: never a URL, never an id."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        attempts = Counter(
            "tidings_attempts", "Attempts made, by outcome.", ["outcome"], registry=self.registry
        )
        self._attempts = {outcome: attempts.labels(outcome.value) for outcome in Outcome}
        self._duration = Histogram(
            "tidings_attempt_duration_seconds",
            "How long attempts took, from DNS to the end of the answer.",
            buckets=_LATENCY_BUCKETS_SECONDS,
            registry=self.registry,
        )
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
        self._attempts[attempt.outcome].inc()
        self._duration.observe(attempt.duration_ms / 1_000)

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
