"""As much as the server bears: one at a time, in batches, to many subscribers, by TLS."""

from bench.figures import ACCEPTED, CPU, DELIVERED, Figures, Scenario, seconds_between
from bench.world import World, cpu_of_a_post, lone_receiver, world

_EVENTS = 20_000
_CONNECTIONS = 64


def flood(
    one: World,
    *,
    events: int = _EVENTS,
    batch: int = 1,
    fan_out: int = 1,
    event_type: str = "bench.event",
) -> Figures:
    """Publish as fast as the answers come, and wait for the last delivery."""
    known = one.count_arrivals()
    before = one.cpu_seconds()
    accepted, took = one.load(events, connections=_CONNECTIONS, batch=batch, event_type=event_type)
    arrivals = one.await_arrivals(known + events * fan_out)
    cpu = one.cpu_seconds() - before
    delivered = {name: at for name, at in arrivals.items() if name[0] in accepted}
    return {
        ACCEPTED: events / took,
        DELIVERED: len(delivered) / seconds_between(accepted, delivered) if delivered else 0.0,
        CPU: cpu / events * 1e6,
        "server peak MiB": one.peak_memory_mib(),
    }


def warm(one: World) -> None:
    """Let caches fill and connections open, at no place that is measured."""
    one.load(500, connections=8, event_type="other.event")


def floor() -> Figures:
    """A relay that promises nothing: see bench/floor.py."""
    with world(is_floor=True) as one:
        warm(one)
        one.await_arrivals(500)
        return flood(one)


def single_publishes() -> Figures:
    """One subscription, single publishes."""
    with world() as one:
        one.subscribe("bench.*", "/ok")
        warm(one)
        return flood(one)


def batch_publishes() -> Figures:
    """One subscription, a hundred events in each request."""
    with world() as one:
        one.subscribe("bench.*", "/ok")
        warm(one)
        return flood(one, events=40_000, batch=100)


def fan_out() -> Figures:
    """A thousand subscriptions that all want each event."""
    subscriptions, events = 1_000, 40
    with world() as one:
        for number in range(subscriptions):
            one.subscribe("bench.*", f"/ok/{number}")
        warm(one)
        figures = flood(one, events=events, fan_out=subscriptions)
        return {
            DELIVERED: figures[DELIVERED],
            "server CPU µs/delivery": figures[CPU] / subscriptions,
            "server peak MiB": figures["server peak MiB"],
        }


def _tls(path: str) -> Figures:
    with world(tls=True) as one:
        one.subscribe("bench.*", path)
        warm(one)
        return flood(one, events=5_000)


def tls_kept_alive() -> Figures:
    """One subscription by https, connections kept."""
    return _tls("/ok")


def tls_closed() -> Figures:
    """One subscription by https, a new connection for each delivery."""
    return _tls("/close")


def client() -> Figures:
    """One POST over a kept connection: by our client, and by the least that could send it."""
    with lone_receiver() as port:
        cost = {kind: cpu_of_a_post(kind, port, posts=50_000) for kind in ("guarded", "floor")}
    return {
        "CPU µs/POST": cost["guarded"],
        "CPU µs/POST of the floor": cost["floor"],
        "share of the floor %": cost["floor"] / cost["guarded"] * 100,
    }


PUBLISHES: dict[str, Scenario] = {
    "floor": Scenario(floor),
    "single-publishes": Scenario(single_publishes),
    "batch-publishes": Scenario(batch_publishes),
    "client": Scenario(client),
    "fan-out": Scenario(fan_out, runs=3),
    "tls-kept-alive": Scenario(tls_kept_alive, runs=3),
    "tls-closed": Scenario(tls_closed, runs=3),
}
