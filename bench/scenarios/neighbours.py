"""What endpoints that answer feel of those that do not."""

import math

from bench.figures import Figures, Scenario
from bench.scenarios.latency import steady
from bench.world import World, world
from tools.ports import free_port

_CONCURRENCY_MAX = 512
_BOUND_MS = 50.0
HEALTHY = 80
"""How many of the 200 endpoints answer."""


def _beside(quiet: Figures, beside: Figures, one: World) -> Figures:
    return {
        "quiet p99 ms": quiet["p99 ms"],
        "beside the others p99 ms": beside["p99 ms"],
        "bound ms": max(3 * quiet["p99 ms"], _BOUND_MS),
        "server peak MiB": one.peak_memory_mib(),
    }


def isolation() -> Figures:
    """The same endpoint before and while ten others hang with 5 times CONCURRENCY_MAX waiting."""
    hanging, waiting = 10, 5 * _CONCURRENCY_MAX
    with world(TIDINGS_CONCURRENCY_MAX=str(_CONCURRENCY_MAX)) as one:
        one.subscribe("bench.*", "/ok")
        for number in range(hanging):
            one.subscribe("stuck.*", f"/hang/{number}")
        one.load(200, connections=8, event_type="bench.warm")
        quiet = steady(one, events=2_000, event_type="bench.quiet")
        one.load(math.ceil(waiting / hanging), connections=8, event_type="stuck.event")
        return _beside(quiet, steady(one, events=2_000, event_type="bench.beside"), one)


def hostile() -> Figures:
    """20,000 deliveries to 200 endpoints of which 60 % hang, drip, reset or flood.

    The 80 that answer get 50 events before, and 50 while 12,000 deliveries wait for the others.
    """
    with world(TIDINGS_CONCURRENCY_MAX=str(_CONCURRENCY_MAX)) as one:
        hostile_neighbourhood(one)
        one.load(20, connections=4, event_type="bench.warm")
        one.await_arrivals(20 * HEALTHY)
        quiet = steady(one, events=50, event_type="bench.quiet", rate=5, fan_out=HEALTHY)
        one.load(100, connections=8, event_type="stuck.event")
        beside = steady(one, events=50, event_type="bench.beside", rate=5, fan_out=HEALTHY)
        return _beside(quiet, beside, one)


def hostile_neighbourhood(one: World) -> None:
    """80 subscriptions of endpoints that answer, and 120 of endpoints that do worse."""
    for number in range(HEALTHY):
        one.subscribe("bench.*", f"/ok/{number}")
    for kind in ("hang", "drip", "reset", "flood"):
        for number in range(30):
            one.subscribe("stuck.*", f"/{kind}/{number}")


def dead_tenth() -> Figures:
    """A hundred endpoints that want the same events, of which five hang and five are not there."""
    dead, answering = 5, 90
    with world() as one:
        for number in range(answering):
            one.subscribe("*", f"/ok/{number}")
        one.load(20, connections=4, event_type="bench.warm")
        one.await_arrivals(20 * answering)
        quiet = steady(one, events=50, event_type="bench.quiet", rate=10, fan_out=answering)
        nobody = f"http://127.0.0.1:{free_port()}"
        for number in range(dead):
            one.subscribe("*", f"/hang/{number}")
            body = {"eventType": "*", "callbackUrl": f"{nobody}/{number}"}
            one.call("POST", "/webhook-subscriptions", body)
        beside = steady(one, events=100, event_type="bench.beside", rate=10, fan_out=answering)
        return _beside(quiet, beside, one)


NEIGHBOURS: dict[str, Scenario] = {
    "isolation": Scenario(isolation),
    "hostile": Scenario(hostile),
    "dead-tenth": Scenario(dead_tenth, runs=3),
}
