"""What is measured, each scenario a function from a fresh world to its figures."""

import math
from collections.abc import Callable, Mapping

from bench.world import (
    Arrivals,
    World,
    cpu_of_a_post,
    cpu_seconds,
    lone_receiver,
    peak_memory_mib,
    world,
)

Figures = dict[str, float]

_CONCURRENCY_MAX = 512


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of all values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def _latencies_ms(accepted: Mapping[str, int], arrivals: Arrivals) -> list[float]:
    """From the 202 to each receipt; a receipt may come first, which counts as 0."""
    return [
        max(0.0, (at - accepted[event_id]) / 1e6)
        for (event_id, _), at in arrivals.items()
        if event_id in accepted
    ]


def client() -> Figures:
    """One POST over a kept connection: by our client, and by the least that could send it."""
    with lone_receiver() as port:
        cost = {kind: cpu_of_a_post(kind, port, posts=50_000) for kind in ("guarded", "floor")}
    return {
        "CPU µs/POST": cost["guarded"],
        "CPU µs/POST of the floor": cost["floor"],
        "share of the floor %": cost["floor"] / cost["guarded"] * 100,
    }


def single_publishes() -> Figures:
    """One subscription, single publishes as fast as 64 connections get their answers."""
    events = 20_000
    with world() as one:
        one.subscribe("bench.*", "/ok")
        one.load(500, connections=8, event_type="other.event")
        before = cpu_seconds(one.server.pid)
        accepted, took = one.load(events, connections=64)
        arrivals = one.await_arrivals(events)
        cpu = cpu_seconds(one.server.pid) - before
        first, last = min(accepted.values()), max(arrivals.values())
        return {
            "accepted/s": events / took,
            "delivered/s": events / ((last - first) / 1e9),
            "server CPU µs/event": cpu / events * 1e6,
            "server peak MiB": peak_memory_mib(one.server.pid),
        }


def steady_rate() -> Figures:
    """500 single publishes a second for 10 s: the time from the 202 to the receipt."""
    with world() as one:
        one.subscribe("bench.*", "/ok")
        one.load(500, connections=8, event_type="other.event")
        return _steady(one, events=5_000)


def isolation() -> Figures:
    """The same endpoint before and while ten others hang with 5 times CONCURRENCY_MAX waiting."""
    hanging, waiting = 10, 5 * _CONCURRENCY_MAX
    with world(TIDINGS_CONCURRENCY_MAX=str(_CONCURRENCY_MAX)) as one:
        one.subscribe("bench.*", "/ok")
        for number in range(hanging):
            one.subscribe("stuck.*", "/hang", description=f"hangs, number {number}")
        one.load(200, connections=8, event_type="bench.warm")
        quiet = _steady(one, events=2_000, event_type="bench.quiet")
        one.load(math.ceil(waiting / hanging), connections=8, event_type="stuck.event")
        beside = _steady(one, events=2_000, event_type="bench.beside")
        return {
            "quiet p99 ms": quiet["p99 ms"],
            "beside hanging p99 ms": beside["p99 ms"],
            "bound ms": max(3 * quiet["p99 ms"], 50.0),
        }


def hostile() -> Figures:
    """20,000 deliveries to 200 endpoints of which 60 % hang, drip, reset or flood.

    The 80 that answer get 50 events before, and 50 while 12,000 deliveries wait for the others.
    """
    with world(TIDINGS_CONCURRENCY_MAX=str(_CONCURRENCY_MAX)) as one:
        hostile_neighbourhood(one)
        one.load(20, connections=4, event_type="bench.warm")
        one.await_arrivals(20 * HEALTHY)
        quiet = _steady(one, events=50, event_type="bench.quiet", rate=5, fan_out=HEALTHY)
        one.load(100, connections=8, event_type="stuck.event")
        beside = _steady(one, events=50, event_type="bench.beside", rate=5, fan_out=HEALTHY)
        return {
            "quiet p99 ms": quiet["p99 ms"],
            "beside hostile p99 ms": beside["p99 ms"],
            "bound ms": max(3 * quiet["p99 ms"], 50.0),
            "server peak MiB": peak_memory_mib(one.server.pid),
        }


HEALTHY = 80
"""How many of the 200 endpoints answer."""


def hostile_neighbourhood(one: World) -> None:
    """80 subscriptions of endpoints that answer, and 120 of endpoints that do worse."""
    for number in range(HEALTHY):
        one.subscribe("bench.*", f"/ok/{number}")
    for kind in ("hang", "drip", "reset", "flood"):
        for number in range(30):
            one.subscribe("stuck.*", f"/{kind}/{number}")


def _steady(
    one: World,
    *,
    events: int,
    event_type: str = "bench.event",
    rate: float = 500,
    fan_out: int = 1,
) -> Figures:
    before = cpu_seconds(one.server.pid)
    known = len(one.arrivals())
    accepted, _ = one.load(
        events, connections=min(32, math.ceil(rate)), rate=rate, event_type=event_type
    )
    arrivals = one.await_arrivals(known + events * fan_out)
    latencies = _latencies_ms(accepted, arrivals)
    return {
        "p50 ms": percentile(latencies, 0.5),
        "p99 ms": percentile(latencies, 0.99),
        "server CPU µs/event": (cpu_seconds(one.server.pid) - before) / events * 1e6,
    }


SCENARIOS: dict[str, Callable[[], Figures]] = {
    "client": client,
    "single-publishes": single_publishes,
    "steady-rate": steady_rate,
    "isolation": isolation,
    "hostile": hostile,
}
