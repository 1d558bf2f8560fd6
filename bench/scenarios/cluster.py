"""On PostgreSQL: processes of every role, and what the database costs beside them."""

from bench.figures import Figures, Scenario
from bench.postgres_world import PostgresWorld, postgres_world
from bench.scenarios.growth import MANY_MAY, SUBSCRIBE_MANY, drain
from bench.scenarios.latency import steady
from bench.scenarios.publishes import flood, warm

_EVENTS = 10_000
_DATABASE_CPU = "database CPU µs/event"
_WAL = "WAL bytes/event"
API_CPU, WORKER_CPU = "API node CPU µs/event", "worker CPU µs/event"


def _flood(one: PostgresWorld, *, events: int = _EVENTS, batch: int = 1) -> Figures:
    roles, database, wal = one.cpu_seconds_of_roles(), one.database_seconds(), one.wal_bytes()
    figures = flood(one, events=events, batch=batch)
    used = {
        role: (after - roles[role]) / events * 1e6
        for role, after in one.cpu_seconds_of_roles().items()
    }
    of_roles = {} if "all" in used else {API_CPU: used["api"], WORKER_CPU: used["worker"]}
    return {
        **figures,
        **of_roles,
        _DATABASE_CPU: (one.database_seconds() - database) / events * 1e6,
        _WAL: (one.wal_bytes() - wal) / events,
    }


def _measured(
    *roles: str, events: int = _EVENTS, batch: int = 1, path: str = "/ok", tls: bool = False
) -> Figures:
    with postgres_world(*roles, tls=tls) as one:
        one.subscribe("bench.*", path)
        warm(one)
        return _flood(one, events=events, batch=batch)


def one_process() -> Figures:
    """One process that does everything."""
    return _measured("all")


def api_and_worker() -> Figures:
    """One process that answers, and one that delivers."""
    return _measured("api", "worker")


def two_workers() -> Figures:
    """One process that answers, and two that deliver."""
    return _measured("api", "worker", "worker")


def batches() -> Figures:
    """A hundred events in each request, to an API node beside a worker."""
    return _measured("api", "worker", events=20_000, batch=100)


def tls_closed() -> Figures:
    """By https, and a new connection for each delivery."""
    return _measured("api", "worker", events=3_000, path="/close", tls=True)


def many_subscriptions() -> Figures:
    """Single publishes that one subscription wants, beside 100,000 that want something else."""
    with postgres_world(
        "api", "worker", prepare=SUBSCRIBE_MANY, TIDINGS_SUBSCRIPTIONS_MAX=MANY_MAY
    ) as one:
        one.subscribe("bench.*", "/ok")
        warm(one)
        return _flood(one)


def backlog() -> Figures:
    """1,000,000 deliveries wait for 100 paused subscriptions; kill, start, resume, drain."""
    with postgres_world("api", "worker") as one:
        return drain(one)


def latency_at_500() -> Figures:
    """At 500 events in a second, by an API node and a worker."""
    with postgres_world("api", "worker") as one:
        one.subscribe("bench.*", "/ok")
        warm(one)
        return steady(one, events=5_000)


CLUSTER: dict[str, Scenario] = {
    "postgres-all": Scenario(one_process, runs=3),
    "postgres-api-worker": Scenario(api_and_worker, runs=3),
    "postgres-api-two-workers": Scenario(two_workers, runs=3),
    "postgres-batches": Scenario(batches, runs=3),
    "postgres-tls-closed": Scenario(tls_closed, runs=3),
    "postgres-many-subscriptions": Scenario(many_subscriptions, runs=1),
    "postgres-backlog": Scenario(backlog, runs=1),
    "postgres-500": Scenario(latency_at_500, runs=3),
}
