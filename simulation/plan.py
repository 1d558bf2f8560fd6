"""What a seed decides before its world begins: which faults exist at all, how large, how long.

A world in which everything fails all the time shows little; each seed therefore takes a handful of
faults and leaves the others out (swarm testing), and draws the bounds of the program small enough
for a day of a few hundred events to reach them.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from simulation.chance import stream
from simulation.extras import Extras, extras_of
from simulation.floods import Flood, flood_of
from tidings.core import limits
from tidings.engine.maintenance import Beats
from tidings.operations.publish import NO_QUOTAS

HOUR: Final = 3_600.0
FAULTS: Final[Mapping[str, tuple[float, float]]] = {
    # Once in so many commits, reads, requests or calls; drawn between the two.
    "crash_before_commit": (150, 1_500),
    "crash_after_commit": (150, 1_500),
    "commit_unknown": (60, 800),
    "commit_slow": (20, 300),
    "disk_full": (40, 500),
    "io_error": (40, 500),
    "database_busy": (40, 500),
    "read_failed": (20, 300),
    "read_stale": (5, 100),
    "crash_before_send": (200, 2_000),
    "crash_after_arrival": (200, 2_000),
    "crash_after_answer": (200, 2_000),
    "answer_lost": (10, 200),
    "our_proxy_failed": (20, 300),
    "client_answer_lost": (10, 100),
    "client_gone": (20, 200),
    # Once in so many hours.
    "crash_idle": (1, 24),
    "stop_in_order": (2, 24),
    "disk_reserve_used": (4, 48),
    "store_away": (2, 48),
    "clock_forward": (4, 48),
    "clock_back": (4, 48),
    # Either there or not.
    "clock_drift": (1, 1),
}
"""Every kind of fault around the process, and how rare it is where it exists."""
DISTURBING: Final = frozenset(
    {"commit_slow", "read_stale", "read_failed", "store_away", "disk_full", "io_error"}
    | {"database_busy", "commit_unknown", "clock_forward", "clock_back", "clock_drift"}
)
"""Faults in spite of which nobody is promised to be served soon."""
_ALL_OF_THE_TIME: Final = frozenset({"clock_drift"})
_FAULTS_SHARE: Final = 0.45
_QUIET_SHARE: Final = 0.06


@dataclass(frozen=True)
class Plan:
    """One world, but for what its streams of draws bring."""

    seed: int
    rarities: Mapping[str, float]
    safety_hours: float
    events: int
    tenants: int
    receivers: int
    subscriptions: int
    concurrency_max: int
    disable_after_days: float
    retention_days: float
    beats: Beats
    bounds: Mapping[str, int]
    clock_drift: float
    moods: tuple[str, ...]
    verbs: tuple[str, ...]
    writes_take_ms: float
    flood: Flood | None
    extras: Extras
    features: frozenset[str] = field(default_factory=frozenset)

    def has(self, fault: str) -> bool:
        """Whether this kind of fault exists in this world."""
        return fault in self.rarities


MOODS: Final = (
    "well",
    "slow",
    "hanging",
    "flapping",
    "failing",
    "throttling",
    "refusing",
    "resetting",
    "nameless",
    "untrusted",
    "babbling",
    "forbidden",
    "redirecting",
    "gone",
)
"""How a receiver may behave for a while."""
VERBS: Final = (
    "pause",
    "disable",
    "delete",
    "edit_url",
    "edit_policy",
    "edit_rate",
    "edit_patterns",
    "edit_ordering",
    "rotate",
    "retry",
    "cancel",
    "discard",
    "replay_dead",
    "replay_event",
    "replay_many",
    "erase_data",
    "erase_tenant",
    "conflict",
)
"""What clients may do besides subscribing and publishing."""
FEATURES: Final = ("ordering", "rates", "schedules", "poison", "batches", "idempotency_keys")


def plan_of(seed: int) -> Plan:
    """The plan of a seed."""
    draws = stream(seed, "plan")
    is_quiet = draws.random() < _QUIET_SHARE
    rarities = {
        fault: 1.0 if fault in _ALL_OF_THE_TIME else _between(draws, *rarity)
        for fault, rarity in FAULTS.items()
        if draws.random() < _FAULTS_SHARE and not is_quiet
    }
    flood, extras = flood_of(seed), extras_of(seed)
    if flood is not None:
        # Who floods a tenant with quotas is refused.
        extras = replace(extras, quotas=NO_QUOTAS)
        rarities = {} if flood.is_undisturbed else rarities
    moods = ("well", *(mood for mood in MOODS[1:] if draws.random() < 0.4))
    plan = Plan(
        seed=seed,
        rarities=rarities,
        safety_hours=draws.choice((24.0, 26.0, 30.0, 48.0)),
        events=draws.randint(210, 260),
        tenants=draws.choice((1, 1, 2, 3)),
        receivers=draws.randint(2, 5),
        subscriptions=draws.randint(3, 8),
        concurrency_max=draws.choice((2, 4, 8, 16, 64, 512)),
        disable_after_days=draws.choice((0.2, 0.5, 5.0, 5.0)),
        retention_days=draws.choice((0.5, 1.0, 30.0, 30.0, 30.0)),
        beats=Beats(
            held_seconds=draws.choice((30.0, 300.0)),
            retention_seconds=draws.choice((3_600.0, 14_400.0)),
            audit_seconds=draws.choice((120.0, 600.0)),
            forget_seconds=draws.choice((60.0, 600.0)),
            roll_up_seconds=draws.choice((60.0, 600.0)),
            coarsen_seconds=3_600.0,
        ),
        bounds=_bounds(draws),
        clock_drift=draws.choice((-1, 1)) * draws.choice((1e-5, 2e-4, 1e-2)),
        moods=moods,
        verbs=(*(verb for verb in VERBS if draws.random() < 0.5), *extras.verbs()),
        writes_take_ms=draws.choice((0.0, 0.0, 3.0)),
        flood=flood,
        extras=extras,
        features=frozenset(one for one in FEATURES if draws.random() < 0.5),
    )
    if flood is None:
        return plan
    bounds = {**plan.bounds, "ENDPOINT_CONCURRENCY_MAX": 64, "HOST_CONCURRENCY_MAX": 128}
    return replace(plan, concurrency_max=flood.concurrency_max, bounds=bounds)


def _bounds(draws: random.Random) -> dict[str, int]:
    """Bounds of the program, smaller than it has them, so that a small world reaches them."""
    bounds = {
        "DUE_WINDOW_MS": draws.choice((300_000, 900_000, 3_600_000)),
        "ENDPOINT_WINDOW_ROWS_MAX": draws.choice((4, 16, 256)),
        "ENDPOINT_LANES_MAX": draws.choice((2, 10_000)),
        "ROWS_IN_MEMORY_MAX": draws.choice((20, 200_000)),
        "DUE_ROWS_IN_MEMORY_MAX": draws.choice((10, 50_000)),
        "COMMIT_EVENTS_MAX": draws.choice((8, 256)),
        "COMMIT_DELIVERIES_MAX": draws.choice((10, 2_000)),
        "RESULTS_MAX": draws.choice((4, 256)),
        "RESULTS_UNRECORDED_MAX": draws.choice((8, 512)),
        "SETTLED_ROWS_MAX": draws.choice((5, 500)),
        "REPLAYED_ROWS_WAITING_MAX": draws.choice((10, 1_000)),
        "ENDPOINT_CONCURRENCY_MAX": draws.choice((4, 64)),
        "HOST_CONCURRENCY_MAX": draws.choice((4, 128)),
        "BODY_CACHE_BYTES_MAX": draws.choice((0, 2_000, 64 * 1024 * 1024)),
    }
    # The relations that `core/limits.py` asserts hold here as well.
    bounds["REPLAYED_ROWS_WAITING_MAX"] = max(
        bounds["REPLAYED_ROWS_WAITING_MAX"], bounds["SETTLED_ROWS_MAX"]
    )
    bounds["RESULTS_UNRECORDED_MAX"] = max(bounds["RESULTS_UNRECORDED_MAX"], bounds["RESULTS_MAX"])
    return bounds


@contextmanager
def bounds_of(plan: Plan) -> Iterator[None]:
    """The program's bounds as the plan has them, for as long as its world lasts."""
    before = {name: getattr(limits, name) for name in plan.bounds}
    for name, bound in plan.bounds.items():
        setattr(limits, name, bound)
    try:
        yield
    finally:
        for name, bound in before.items():
            setattr(limits, name, bound)


def _between(draws: random.Random, low: float, high: float) -> float:
    """A draw between two rarities, small ones as likely as great ones."""
    if low == high:
        return low
    return low * float((high / low) ** draws.random())
