"""One world: workers and a database in virtual time, first with faults, then without."""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from simulation.cluster.checkers import Judge, PromiseBroken
from simulation.cluster.network import Network
from simulation.cluster.plan import Plan, drift, plan_of
from simulation.cluster.worker import Worker
from tidings.core import limits

_SEND_EVERY_MS = 100.0
_SETTLE_MS = 40_000.0
_HAND_OVERS_MS = 12_000.0
_STILL_MS = 6_000.0
_LAST_ROWS_MS = 20_000.0
_WORKERS_MAX = 7
_SLOW_FAILS_SHARE = 0.7


@dataclass
class Outcome:
    """How a world ended."""

    seed: int
    virtual_ms: float
    rows: int
    overlaps: int
    counted: Counter[str]
    broken: PromiseBroken | None = None


@dataclass
class World:
    """Time, and everybody in it."""

    plan: Plan
    now_ms: float = 0
    is_database_down: bool = False
    has_stopped_publishing: bool = False
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.draw = random.Random(f"world {self.plan.seed}")
        self.judge = Judge()
        self.judge.sees = self
        self.tables = self.plan.tables(self.judge, self.plan.shards, drift(self.draw))
        self.network = Network(self, random.Random(f"network {self.plan.seed}"))
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._of_session: dict[str, Worker] = {}

    # What the judge may see.

    def owner_of(self, shard: int) -> str | None:
        owner = self.tables.shards[shard].owner
        return owner if owner is not None and owner in self.tables.sessions else None

    def is_there(self, session: str) -> bool:
        return session in self.tables.sessions

    def may_send(self, session: str) -> bool:
        worker = self._of_session[session]
        if worker.is_dead or worker.session != session:
            return False
        clock_ms, rules = worker.clock_ms(), worker.ownership
        return any(rules.may_send(shard, clock_ms) for shard in range(self.plan.shards))

    def healthy_since_ms(self, session: str) -> float | None:
        worker = self._of_session[session]
        is_well = worker.is_well and worker.session == session
        return worker.well_since_ms if is_well else None

    # Time.

    def at(self, at_ms: float, action: Callable[[], None]) -> None:
        """Do something at a moment."""
        heapq.heappush(self._events, (max(at_ms, self.now_ms), next(self._numbers), action))

    def pass_ms(self, duration_ms: float) -> None:
        """Let time pass."""
        until_ms = self.now_ms + duration_ms
        while self._events and self._events[0][0] <= until_ms:
            self.now_ms, _, action = heapq.heappop(self._events)
            self.tables.true_ms = self.now_ms
            action()
        self.now_ms = self.tables.true_ms = until_ms

    # Everybody.

    def new_session(self, worker: Worker) -> str:
        """A session id that no other ever had; their order is none of time."""
        session = f"{self.draw.randrange(1 << 16):04x}-{len(self._of_session)}"
        self._of_session[session] = worker
        return session

    def living(self) -> list[Worker]:
        return [one for one in self.workers if not one.is_dead]

    def join(self) -> None:
        """A new worker begins."""
        worker = Worker(
            self,
            f"worker {len(self.workers)}",
            offset_ms=self.draw.uniform(0, 1e9),
            drift=drift(self.draw),
        )
        self.workers.append(worker)
        worker.act(lambda: None)

    def begin(self) -> None:
        """Start the workers, the publishing and the sending."""
        for _ in range(self.plan.workers):
            self.join()
        self._publish()
        self._send()

    def _publish(self) -> None:
        if self.has_stopped_publishing:
            return
        self.tables.insert_row(self.draw.randrange(self.plan.shards))
        self.at(
            self.now_ms + self.draw.expovariate(self.plan.rows_per_second) * 1_000, self._publish
        )

    def _send(self) -> None:
        for worker in self.living():
            if not worker.is_paused:
                worker.send()
        self.at(self.now_ms + _SEND_EVERY_MS, self._send)

    # Faults.

    def disturb(self) -> None:
        """One fault, of the kinds that this world has."""
        kind = self.draw.choice(self.plan.faults)
        living = [one for one in self.living() if not one.is_leaving]
        self.judge.counted[kind] += 1
        if kind == "outage":
            self.is_database_down = True
            self.at(self.now_ms + self.draw.uniform(500, 25_000), self._database_up)
        elif kind == "join":
            if len(living) < _WORKERS_MAX:
                self.join()
        elif living:
            self._trouble(kind, self.draw.choice(living), len(living))

    def _trouble(self, kind: str, worker: Worker, living: int) -> None:
        lasts_ms = self.draw.uniform(500, 25_000)
        if kind == "crash":
            worker.crash()
            self.at(self.now_ms + self.draw.uniform(100, 20_000), self.join)
        elif kind == "leave":
            if living > 1:
                worker.leave()
        elif kind == "pause":
            worker.is_paused = True
            self.at(self.now_ms + lasts_ms, lambda: self._well(worker))
        elif kind == "cut off":
            worker.is_cut_off = True
            self.at(self.now_ms + lasts_ms, lambda: self._well(worker))
        else:
            worker.is_slow = True
            self.at(self.now_ms + self.draw.uniform(2_000, 8_000), lambda: self._worse(worker))

    def _worse(self, worker: Worker) -> None:
        """A slow network often fails in the end."""
        worker.is_cut_off = worker.is_slow and self.draw.random() < _SLOW_FAILS_SHARE
        self.at(self.now_ms + self.draw.uniform(500, 20_000), lambda: self._well(worker))

    def _well(self, worker: Worker) -> None:
        worker.is_cut_off = worker.is_slow = False
        worker.well_since_ms = self.now_ms
        if worker.is_paused:
            worker.resume()

    def _database_up(self) -> None:
        self.is_database_down = False

    def end_all_faults(self) -> None:
        """Let everybody be well."""
        self.plan.lost_share = self.plan.late_share = 0
        self._database_up()
        for worker in self.living():
            self._well(worker)
        while not any(not one.is_leaving for one in self.living()):
            self.join()


def play(seed: int, change: Callable[[Plan], None] | None = None) -> Outcome:
    """Play a seed; `change` may plant a fault into its plan first."""
    plan = plan_of(seed)
    if change is not None:
        change(plan)
    world = World(plan)
    broken = None
    try:
        _course(world)
    except PromiseBroken as fault:
        broken = fault
    counted, judge = world.judge.counted, world.judge
    return Outcome(seed, world.now_ms, world.tables.rows_made, judge.overlaps, counted, broken)


def _course(world: World) -> None:
    """Faults, then calm; then a death, an arrival and a farewell, each alone."""
    world.begin()
    ends_at_ms = world.plan.chaos_ms
    while world.now_ms < ends_at_ms:
        world.pass_ms(world.draw.expovariate(1 / world.plan.fault_every_ms))
        world.disturb()
    world.end_all_faults()
    _expect_rest(world, _SETTLE_MS, "after the faults")
    if len(world.living()) > 1:
        world.draw.choice(world.living()).crash()
        world.pass_ms(limits.SHARDS_OWNED_AGAIN_MS)
        _expect_owned(world, "after a death")
        _expect_rest(world, _HAND_OVERS_MS, "after a death")
    world.join()
    _expect_rest(world, _HAND_OVERS_MS, "after an arrival")
    world.draw.choice(world.living()).leave()
    _expect_rest(world, _HAND_OVERS_MS, "after a farewell")
    world.has_stopped_publishing = True
    world.plan.hanging_share = 0
    world.pass_ms(_LAST_ROWS_MS)
    world.judge.expect_nothing_stranded(world.tables.open_rows())


def _expect_rest(world: World, within_ms: float, when: str) -> None:
    """Soon all shards are owned and fairly shared, few have moved for that, and then none."""
    before = world.judge.moves
    world.pass_ms(within_ms)
    _expect_owned(world, when)
    world.judge.expect_fair([len(one.ownership.owned) for one in world.living()], when)
    world.judge.expect_calm(world.judge.moves - before, 4 * world.plan.shards, when)
    before = world.judge.moves
    world.pass_ms(_STILL_MS)
    world.judge.expect_calm(world.judge.moves - before, 0, f"long {when}")


def _expect_owned(world: World, when: str) -> None:
    owned = world.tables.owned_by_the_living()
    world.judge.expect_all_owned(owned, world.plan.shards, when)
