"""An endpoint's health: the memory of its failures, and when it is called again.

An endpoint fails once its last answer was a failure. It opens, like a circuit breaker, no sooner
than after 10 failures in a row over at least a minute. While it is open nothing is sent but probes,
ordinary attempts of its oldest delivery, at intervals that grow from 30 s to 30 min. One success
heals it.

Somebody is told of it when it opens, or when half of the time has passed after which unbroken
failure disables the subscription, whichever comes first; and again when it recovers.
"""

from enum import StrEnum

import msgspec

from tidings.core import limits
from tidings.core.attempt import Outcome

_FAILURES = frozenset({Outcome.FAILED, Outcome.THROTTLED, Outcome.BLOCKED, Outcome.GONE})


class HealthState(StrEnum):
    """How an endpoint is doing, as clients see it."""

    HEALTHY = "healthy"
    FAILING = "failing"
    OPEN = "open"


class Health(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of an endpoint. Without `probe_at_ms` it is not open.

    `is_told` says that a lifecycle event has told of these failures.
    """

    consecutive_failures: int = 0
    failing_since_ms: int | None = None
    probe_at_ms: int | None = None
    probe_interval_ms: int = 0
    held_until_ms: int | None = None
    is_told: bool = False

    @property
    def is_open(self) -> bool:
        """Whether nothing but probes may be sent."""
        return self.probe_at_ms is not None

    @property
    def state(self) -> HealthState:
        """The state in one word."""
        if self.is_open:
            return HealthState.OPEN
        return HealthState.HEALTHY if self.failing_since_ms is None else HealthState.FAILING


HEALTHY = Health()


def health_after(
    health: Health,
    outcome: Outcome,
    *,
    now_ms: int,
    jitter: float,
    held_until_ms: int | None = None,
) -> Health:
    """The health after an attempt. `jitter` lies between 0 and 1 and spreads the probes.

    What was our own fault says nothing about the endpoint and changes nothing. A rest that the
    receiver asked for stands, also when one of its answers is a success: that request may have
    begun before.
    """
    if outcome is Outcome.DELIVERED:
        if health.held_until_ms is not None and now_ms < health.held_until_ms:
            return Health(held_until_ms=health.held_until_ms)
        return HEALTHY
    if outcome not in _FAILURES:
        return health
    # Where the clock was put back, the first failure may lie ahead.
    since_ms = health.failing_since_ms
    failing_since_ms = now_ms if since_ms is None else min(since_ms, now_ms)
    failures = health.consecutive_failures + 1
    held = max(filter(None, (held_until_ms, health.held_until_ms)), default=None)
    if health.probe_at_ms is not None and now_ms < health.probe_at_ms:
        # It was on its way when the endpoint opened, so it is no probe and tells nothing new.
        return msgspec.structs.replace(
            health,
            consecutive_failures=failures,
            failing_since_ms=failing_since_ms,
            held_until_ms=held,
        )
    if health.is_open:
        interval_ms = min(health.probe_interval_ms * 2, limits.PROBE_INTERVAL_MS_MAX)
    elif (
        failures >= limits.HEALTH_OPENS_AFTER_FAILURES
        and now_ms - failing_since_ms >= limits.HEALTH_OPENS_AFTER_MS
    ):
        interval_ms = limits.PROBE_INTERVAL_MS_MIN
    else:
        return Health(failures, failing_since_ms, None, 0, held, health.is_told)
    probe_at_ms = now_ms + round(interval_ms * (0.8 + 0.4 * jitter))
    return Health(failures, failing_since_ms, probe_at_ms, interval_ms, held, is_told=True)


def told_in_time(health: Health, disable_after_days: float, *, now_ms: int) -> Health:
    """The health, marked as told once its share of the days before it is disabled has passed."""
    days = disable_after_days * limits.FAILING_TOLD_SHARE
    if health.is_told or not has_failed_for_days(health, days, now_ms=now_ms):
        return health
    return msgspec.structs.replace(health, is_told=True)


def has_failed_for_days(health: Health, days: float, *, now_ms: int) -> bool:
    """Whether failure was unbroken for so long that the subscription is to be disabled."""
    since_ms = health.failing_since_ms
    return since_ms is not None and now_ms - since_ms >= days * 86_400_000


def is_worth_writing(written: Health, present: Health, *, written_at_ms: int, now_ms: int) -> bool:
    """Whether the present health must be stored, so that a restart respects it.

    A change of state, or of what was told, a longer rest and the result of a probe always, because
    nothing may follow them for long; everything else at most once a second for an endpoint.
    """
    if written.state is not present.state or written.is_told is not present.is_told:
        return True
    if (present.held_until_ms or 0) > (written.held_until_ms or 0):
        return True
    if written.probe_at_ms != present.probe_at_ms:
        return True
    if now_ms - written_at_ms < limits.HEALTH_WRITE_INTERVAL_MS:
        return False
    return (
        written.held_until_ms != present.held_until_ms
        or written.failing_since_ms != present.failing_since_ms
    )
