"""A quiet day, a minute in which everything happens at once, and the way back."""

from bench.figures import ACCEPTED, Figures, Scenario, latencies_ms, percentile
from bench.scenarios.latency import steady
from bench.world import world

_QUIET_RATE, _RATE, _SECONDS = 16, 3_500, 60


def incident() -> Figures:
    """16 events a second, then 3,500 a second for a minute, then 16 again."""
    with world() as one:
        one.subscribe("bench.*", "/ok")
        before = steady(one, events=10 * _QUIET_RATE, event_type="bench.before", rate=_QUIET_RATE)
        known = one.count_arrivals()
        events = _RATE * _SECONDS
        accepted, took = one.load(events, connections=128, rate=_RATE, event_type="bench.during")
        waiting = known + events - one.count_arrivals()
        arrivals = one.await_arrivals(known + events)
        during = latencies_ms(accepted, arrivals)
        after = steady(one, events=10 * _QUIET_RATE, event_type="bench.after", rate=_QUIET_RATE)
        last_ns = max(at for (event_id, _), at in arrivals.items() if event_id in accepted)
        return {
            ACCEPTED: events / took,
            "p99 ms before": before["p99 ms"],
            "p99 ms during": percentile(during, 0.99),
            "p99 ms after": after["p99 ms"],
            "deliveries waiting at the end": float(max(0, waiting)),
            "seconds to recover": max(0.0, (last_ns - max(accepted.values())) / 1e9),
        }


INCIDENT: dict[str, Scenario] = {"incident": Scenario(incident, runs=1)}
