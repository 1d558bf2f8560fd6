"""Defects in the rules: retries, health, rate, order, routing, signatures."""

from typing import Any, Final

from simulation.planted_faults.planting import around, fault, instead
from tidings.core import decision, limits
from tidings.core.attempt import Outcome
from tidings.core.endpoint import Endpoint
from tidings.core.finished import FinishedRows
from tidings.core.health import HEALTHY
from tidings.core.ordering import Lanes
from tidings.core.rate import RateLimit
from tidings.core.retry import RetryPolicy
from tidings.core.routing import Routing
from tidings.core.scheduler import Scheduler
from tidings.core.slots import Slots
from tidings.core.subscription import Status, Subscription
from tidings.engine import sending


def _taking_not_found_for_success(outcome_of: Any) -> Any:
    return lambda answer: Outcome.DELIVERED if answer.status_code == 404 else outcome_of(answer)


def _halving_waits(next_attempt_at_ms: Any) -> Any:
    def early(policy: Any, made: int, *, now_ms: int, jitter: float) -> Any:
        at_ms = next_attempt_at_ms(policy, made, now_ms=now_ms, jitter=jitter)
        return None if at_ms is None else now_ms + (at_ms - now_ms) // 2

    return early


def _giving_one_more(next_attempt_at_ms: Any) -> Any:
    def more(policy: Any, made: int, *, now_ms: int, jitter: float) -> Any:
        at_ms = next_attempt_at_ms(policy, made, now_ms=now_ms, jitter=jitter)
        return now_ms + 5_000 if at_ms is None and made == policy.attempts_max else at_ms

    return more


def _giving_one_less(next_attempt_at_ms: Any) -> Any:
    def less(policy: Any, made: int, *, now_ms: int, jitter: float) -> Any:
        return next_attempt_at_ms(policy, made + 1, now_ms=now_ms, jitter=jitter)

    return less


def _never_opening(health_after: Any) -> Any:
    def closed(health: Any, outcome: Any, **members: Any) -> Any:
        after = health_after(health, outcome, **members)
        return HEALTHY if after.is_open else after

    return closed


def _forgetting_the_hold(health_after: Any) -> Any:
    def free(health: Any, outcome: Any, **members: Any) -> Any:
        return health_after(health, outcome, **{**members, "held_until_ms": None})

    return free


def _losing_the_last(wanting: Any) -> Any:
    return lambda routing, *asked: wanting(routing, *asked)[:2]


def _newest_only(live_secrets: Any) -> Any:
    return lambda subscription, now_ms: live_secrets(subscription, now_ms)[:1]


def _signing_something_else(signature_header: Any) -> Any:
    return lambda keys, name, seconds, body: signature_header(keys, name, seconds, body + b" ")


RULE_FAULTS: Final = (
    fault(
        "404 is success",
        "an answer 404 counts as delivered",
        around(decision, "outcome_of", _taking_not_found_for_success),
    ),
    fault(
        "waits are halved",
        "a retry comes after half of its wait",
        around(decision, "next_attempt_at_ms", _halving_waits),
    ),
    fault(
        "one attempt too many",
        "a round has one attempt more than its policy",
        around(decision, "next_attempt_at_ms", _giving_one_more),
    ),
    fault(
        "one attempt too few",
        "a delivery is given up before its last attempt",
        around(decision, "next_attempt_at_ms", _giving_one_less),
    ),
    fault(
        "Retry-After is not read",
        "a receiver's wish to be left alone is ignored",
        instead(decision, "retry_after_ms", lambda *_value, **_now: None),
    ),
    fault(
        "429 and 503 hold nothing",
        "Retry-After delays one delivery and not its subscription",
        around(decision, "health_after", _forgetting_the_hold),
    ),
    fault(
        "health never opens",
        "an endpoint that fails for hours is called for every delivery",
        around(decision, "health_after", _never_opening),
    ),
    fault(
        "probes keep their pace",
        "the time between probes does not grow",
        instead(limits, "PROBE_INTERVAL_MS_MAX", limits.PROBE_INTERVAL_MS_MIN),
    ),
    fault(
        "lanes admit everybody",
        "a delivery does not wait for the one before it with the same ordering key",
        instead(Lanes, "admits", lambda _lanes, _delivery: True),
    ),
    fault(
        "the rate is not counted",
        "requests are not counted against the rate limit",
        instead(RateLimit, "take", lambda _rate, _now_ms: None),
    ),
    fault(
        "slots are always free",
        "more requests are in flight than there are slots",
        instead(Slots, "are_free", lambda _slots: True),
        instead(Slots, "allow", lambda _slots, _speed: True),
    ),
    fault(
        "hosts have no bound",
        "one host gets as many requests at once as there are slots",
        instead(Slots, "free_for_host", lambda _slots, _host, _speed: 1_000),
    ),
    fault(
        "stale rows are believed",
        "what a late read shows is taken for the present",
        instead(FinishedRows, "is_stale", lambda _rows, _delivery: False),
    ),
    fault(
        "reads are never over",
        "what ended during a read is remembered for ever",
        instead(FinishedRows, "end_read", lambda _rows, _reading: None),
    ),
    fault(
        "paused ones are sent to",
        "a paused subscription is treated like an active one",
        instead(
            Subscription,
            "may_send",
            property(lambda one: one.status in (Status.ACTIVE, Status.PAUSED)),
        ),
    ),
    fault(
        "disabled ones take events",
        "a disabled subscription gets new deliveries",
        instead(
            Subscription, "takes_events", property(lambda one: one.status is not Status.DELETED)
        ),
    ),
    fault(
        "two subscriptions are enough",
        "an event goes to the first two of those that want it",
        around(Routing, "wanting", _losing_the_last),
    ),
    fault(
        "old secrets die at once",
        "only the newest secret signs, whatever overlap was promised",
        around(Subscription, "live_secrets", _newest_only),
    ),
    fault(
        "old secrets live on",
        "a secret signs after its overlap",
        instead(Subscription, "live_secrets", lambda one, _now_ms: one.secrets),
    ),
    fault(
        "signatures are over other bytes",
        "what is signed is not what is sent",
        around(sending, "signature_header", _signing_something_else),
    ),
    fault(
        "held deliveries end at once",
        "an open endpoint's deliveries are given up before their time",
        instead(RetryPolicy, "span_ms", property(lambda _policy: 0)),
    ),
    fault(
        "sends go by what held before",
        "a send that waited for its body is not judged anew",
        instead(Scheduler, "still_wanted", lambda _rules, send, _now_ms: send.subscription),
    ),
    fault(
        "an open endpoint has all its slots",
        "several probes are on their way at once",
        instead(Endpoint, "waits_until_ms", lambda _endpoint: 0),
    ),
)
