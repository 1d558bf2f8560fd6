"""The time from the 202 to the receipt at steady rates."""

from functools import partial

from bench.figures import CPU, Figures, Scenario, latencies_ms, percentile
from bench.world import World, world

_SECONDS = 10
_CONNECTIONS_MAX = 32
RATES = (100, 500, 2_000)


def steady(
    one: World,
    *,
    events: int,
    event_type: str = "bench.event",
    rate: float = 500,
    fan_out: int = 1,
) -> Figures:
    """Publish at a rate; the latencies of all that came of it."""
    known = one.count_arrivals()
    before = one.cpu_seconds()
    # An idle connection is closed after 5 seconds: each must be used more often than that.
    connections = max(1, min(_CONNECTIONS_MAX, int(rate)))
    accepted, _ = one.load(events, connections=connections, rate=rate, event_type=event_type)
    latencies = latencies_ms(accepted, one.await_arrivals(known + events * fan_out))
    return {
        "p50 ms": percentile(latencies, 0.5),
        "p99 ms": percentile(latencies, 0.99),
        CPU: (one.cpu_seconds() - before) / events * 1e6,
    }


def _at(rate: int) -> Figures:
    with world() as one:
        one.subscribe("bench.*", "/ok")
        one.load(500, connections=8, event_type="other.event")
        return steady(one, events=_SECONDS * rate, rate=rate)


LATENCY: dict[str, Scenario] = {
    f"steady-{rate}-per-second": Scenario(partial(_at, rate)) for rate in RATES
}
