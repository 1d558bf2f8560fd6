"""20,000 deliveries to 200 endpoints of which most hang, drip, reset or flood, in real processes.

How long the others wait is measured by ``python -m bench hostile``; a test has no clock to decide.
"""

from bench.scenarios.neighbours import HEALTHY, hostile_neighbourhood
from bench.world import world

CONCURRENCY_MAX = 128
PEAK_MIB_MAX = 300
"""The stated bound of memory with so many deliveries waiting; see docs/performance.md."""


def test_endpoints_that_answer_receive_everything_beside_those_that_do_worse() -> None:
    with world(TIDINGS_CONCURRENCY_MAX=str(CONCURRENCY_MAX)) as one:
        hostile_neighbourhood(one)
        accepted, _ = one.load(100, connections=8, event_type="stuck.event")
        hanging = len(accepted) * 30
        assert hanging >= 5 * CONCURRENCY_MAX
        accepted, _ = one.load(100, connections=8, event_type="bench.event")
        arrivals = one.await_arrivals(100 * HEALTHY)
        paths = {f"/ok/{number}" for number in range(HEALTHY)}
        assert set(arrivals) == {(event_id, path) for event_id in accepted for path in paths}
        assert one.peak_memory_mib() < PEAK_MIB_MAX
        waiting = one.call("GET", "/deliveries?status=pending&limit=200")["items"]
        assert len(waiting) == 200
        assert one.call("GET", "/health/ready") is not None
