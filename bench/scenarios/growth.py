"""What it costs when there is much of everything: subscriptions, and deliveries that wait."""

import time
from functools import partial
from typing import Final

from bench.figures import CPU, DELIVERED, Figures, Scenario, seconds_between
from bench.scenarios.publishes import flood, warm
from bench.world import World, world

_SUBSCRIPTIONS = 100_000
_ENDPOINTS, _BACKLOG_EVENTS = 100, 10_000
_DRAIN_SECONDS_MAX = 1_200

MANY_MAY: Final = str(2 * _SUBSCRIPTIONS)
SUBSCRIBE_MANY: Final = partial(
    World.prepare,
    subscriptions=_SUBSCRIPTIONS,
    path="/ok/{0}",
    event_type="area-{0}.*.changed,area-{0}.order.*",
)


def many_subscriptions() -> Figures:
    """Single publishes that one subscription wants, beside 100,000 that want something else."""
    with world(prepare=SUBSCRIBE_MANY, TIDINGS_SUBSCRIPTIONS_MAX=MANY_MAY) as one:
        one.subscribe("bench.*", "/ok")
        warm(one)
        return flood(one)


def backlog() -> Figures:
    """1,000,000 deliveries wait for 100 paused subscriptions; kill, start, resume, drain.

    The steady rate is that of the same endpoints without a backlog.
    """
    with world() as one:
        return drain(one)


def drain(one: World) -> Figures:
    """What a backlog costs a server that has just been started."""
    waiting = _ENDPOINTS * _BACKLOG_EVENTS
    names = [one.subscribe("bench.*", f"/ok/{number}") for number in range(_ENDPOINTS)]
    warm(one)
    steady = flood(one, events=500, fan_out=_ENDPOINTS, event_type="bench.steady")
    known = one.count_arrivals()
    for name in names:
        one.call("POST", f"/webhook-subscriptions/{name}/pause")
    one.load(_BACKLOG_EVENTS, connections=4, batch=100, event_type="bench.waiting")
    one.kill_server()
    seconds_to_start = one.start()
    publish = flood(one, events=5_000, fan_out=0, event_type="other.event")
    before = one.cpu_seconds()
    resumed = time.monotonic_ns()
    for name in names:
        one.call("POST", f"/webhook-subscriptions/{name}/resume")
    arrivals = one.await_arrivals(known + waiting, seconds=_DRAIN_SECONDS_MAX)
    rate = waiting / seconds_between({"resumed": resumed}, arrivals)
    return {
        "steady delivered/s": steady[DELIVERED],
        "drain delivered/s": rate,
        "drain as a share of steady": rate / steady[DELIVERED],
        "drain CPU µs/delivery": (one.cpu_seconds() - before) / waiting * 1e6,
        "seconds to start with the backlog": seconds_to_start,
        "publish CPU µs beside the backlog": publish[CPU],
        "server peak MiB": one.peak_memory_mib(),
    }


GROWTH: dict[str, Scenario] = {
    "many-subscriptions": Scenario(many_subscriptions, runs=1),
    "backlog": Scenario(backlog, runs=1),
}
