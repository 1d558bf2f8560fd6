"""One world: a seed played from its first moment to its last, with everything watched.

In the first phase faults strike and promises of safety must hold. In the second nothing fails any
more, every receiver is well, and all that was accepted must come to an end in bounded time.
"""

import gc
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from simulation import facts
from simulation.calls import Calls
from simulation.chance import SeededChance, VirtualClock, stream
from simulation.checkers import CHECKERS, Checker
from simulation.clients import Clients
from simulation.database import WitnessedDatabase
from simulation.faults import Faults
from simulation.journal import BrokenPromise, Journal
from simulation.network import Network
from simulation.plan import HOUR, Plan, bounds_of, plan_of
from simulation.process import Process, Surroundings
from simulation.receivers import Receiver
from simulation.record import Record
from simulation.virtual_loop import Spinning, Timeline

_DOWN_SECONDS: Final = (0.05, 7_200.0)
_AWAY_SECONDS: Final = (0.05, 900.0)
_CLOCK_STEPS_MS: Final = (50.0, 7_200_000.0)
_LOOKS_AGAIN_SECONDS: Final = 600.0
LIVENESS_HOURS_MAX: Final = 80.0
"""Everything ends within this after the last fault: the longest wait of a retry schedule, a day
and a fifth, then one asked for by Retry-After, a day, and what a slow rate limit makes of it."""


@dataclass
class Outcome:
    """What came of one seed."""

    seed: int
    broken: BrokenPromise | None
    broken_at_hours: float
    hours: float
    seconds: float
    digest: str
    events: int
    requests: int
    lives: int
    counted: Counter[str] = field(default_factory=Counter)


class World:
    """Everything that there is, on one timeline."""

    def __init__(
        self,
        plan: Plan,
        *,
        trace: Callable[[str], None] | None = None,
        checkers: Sequence[type[Checker]] = CHECKERS,
    ) -> None:
        self.plan = plan
        self.timeline = Timeline()
        self.journal = Journal(self.timeline, trace=trace)
        self.loop = self.timeline.loop(self._unexpected)
        drift = plan.clock_drift if plan.has("clock_drift") else 0.0
        self.clock = VirtualClock(self.timeline, drift=drift)
        self.record = Record(plan, self.timeline, self.clock, self.journal)
        self.faults = Faults(plan, stream(plan.seed, "faults"), self.journal)
        network = Network(
            self.loop, self.clock, self.faults, self.journal, stream(plan.seed, "network")
        )
        hosts = [f"r{number}.example.com" for number in range(plan.receivers)]
        for number, host in enumerate(hosts):
            moods = plan.moods if number else ("well",)
            draws = stream(plan.seed, host)
            network.receivers[host] = Receiver(host, moods, draws)
        floods = {} if plan.flood is None else plan.flood.moods
        for host, moods in floods.items():
            network.receivers[host] = Receiver(host, moods, stream(plan.seed, host))
        self.database = WitnessedDatabase(self.journal.tell)
        self.surroundings = Surroundings(
            plan,
            self.database,
            self.clock,
            network,
            SeededChance(stream(plan.seed, "chance")),
            self.faults,
            self.journal,
        )
        self.calls = Calls(self.loop, self.faults, self.journal)
        self.clients = Clients(plan, self.calls, stream(plan.seed, "clients"), hosts)
        self.checkers = [made(self.record) for made in checkers]
        for checker in self.checkers:
            self.journal.listen(checker.hears())
        self._draws = stream(plan.seed, "world")
        self._lives = 0
        self._process: Process | None = None

    def play(self) -> None:
        """Both phases; what breaks a promise stops the world and stands in the journal."""
        self.loop.call_soon(self._begin)
        try:
            self.timeline.run_until(self.plan.safety_hours * HOUR)
            self.loop.call_soon(self._heal)
            end = self.timeline.now + LIVENESS_HOURS_MAX * HOUR
            while not self._has_ended() and self.timeline.now < end:
                self.timeline.run_until(self.timeline.now + _LOOKS_AGAIN_SECONDS)
                if self.journal.broken is not None:
                    return
            self._judge_the_end()
        except Spinning as fault:
            self.journal.fail(BrokenPromise("time passes", str(fault)))
        finally:
            self.timeline.bury()
            # Its function that witnesses would keep this world alive for ever.
            self.database.close()

    def _begin(self) -> None:
        self._begin_life()
        self.clients.begin()
        for fault, strike in (
            ("crash_idle", self._crash_now),
            ("stop_in_order", self._stop_now),
            ("disk_reserve_used", self._fill_disk),
            ("store_away", self._take_store_away),
            ("clock_forward", lambda: self._step_clock(1)),
            ("clock_back", lambda: self._step_clock(-1)),
        ):
            if self.plan.has(fault):
                self._strike_again(fault, strike)
        if self.plan.has("clock_drift"):
            self.journal.disturb("clock_drift")

    def _heal(self) -> None:
        """Begin the second phase."""
        self.faults.are_on = False
        self.surroundings.disk_is_full = False
        self._bring_store_back()
        self.surroundings.network.heal()
        self.journal.tell(facts.Healed())
        self.loop.create_task(self.clients.wind_down())

    def _has_ended(self) -> bool:
        if self.timeline.now <= self.plan.safety_hours * HOUR or self.clients.unfinished:
            return False
        return not self.record.rows and not self.record.replays_unfinished

    def _judge_the_end(self) -> None:
        try:
            for checker in self.checkers:
                checker.at_rest()
        except BrokenPromise as broken:
            self.journal.fail(broken)

    # The process.

    def _begin_life(self) -> None:
        self._lives += 1
        self.journal.tell(facts.LifeBegan(self._lives))
        loop = self.timeline.loop(self._unexpected)
        self._process = Process(self._lives, self.surroundings, loop, self._life_ended)
        self._process.store_faults.is_away = self.surroundings.store_is_away
        self.calls.process = self._process

    def _life_ended(self, process: Process, how: str) -> None:
        self.journal.tell(facts.LifeEnded(process.life, how))
        self.calls.process = None
        self.calls.process_ended()
        around = self.surroundings
        was_killed = how not in ("stopped", "start_failed")
        if was_killed and around.limbo.come_true(around.open_transactions()):
            self.journal.disturb("commit_came_true")
        down = self.faults.widely(*_DOWN_SECONDS) if self.faults.are_on else 0.1
        self.loop.call_later(down, self._begin_life)

    def _unexpected(self, context: dict[str, Any]) -> None:
        """An exception that nobody caught is a bug, of the program or of the world."""
        fault = context.get("exception")
        self.journal.fail(BrokenPromise("no bug of ours shows", f"{context['message']}: {fault!r}"))

    # Faults that come by the hour.

    def _strike_again(self, fault: str, strike: Callable[[], None]) -> None:
        hours = self._draws.expovariate(1 / self.plan.rarities[fault])
        self.loop.call_later(hours * HOUR, self._strike, fault, strike)

    def _strike(self, fault: str, strike: Callable[[], None]) -> None:
        if self.faults.are_on:
            self.journal.disturb(fault)
            strike()
            self._strike_again(fault, strike)

    def _crash_now(self) -> None:
        if self._process is not None:
            self._process.crash("crash_idle")

    def _stop_now(self) -> None:
        if self._process is not None:
            self._process.stop()

    def _fill_disk(self) -> None:
        self.surroundings.disk_is_full = True
        self.loop.call_later(self.faults.widely(*_AWAY_SECONDS), self._empty_disk)

    def _empty_disk(self) -> None:
        self.surroundings.disk_is_full = False

    def _take_store_away(self) -> None:
        self._set_store_away(is_away=True)
        self.loop.call_later(self.faults.widely(*_AWAY_SECONDS), self._bring_store_back)

    def _bring_store_back(self) -> None:
        self._set_store_away(is_away=False)

    def _set_store_away(self, *, is_away: bool) -> None:
        self.surroundings.store_is_away = is_away
        if self._process is not None:
            self._process.store_faults.is_away = is_away

    def _step_clock(self, direction: int) -> None:
        self.clock.step(direction * round(self.faults.widely(*_CLOCK_STEPS_MS)))


_TOLD: Final = ("subscription_id", "rows", "event_id")


class _BugsInTheLog(logging.Handler):
    """An error in the log is a bug that the program has noticed itself."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.ERROR)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """Take it as a broken promise."""
        detail = record.getMessage() + "".join(
            f" {name}={getattr(record, name)}" for name in _TOLD if hasattr(record, name)
        )
        if record.exc_info is not None and record.exc_info[1] is not None:
            detail += f": {record.exc_info[1]!r}"
        self._journal.fail(BrokenPromise("no bug of ours shows", detail))


def play(
    seed: int,
    *,
    trace: Callable[[str], None] | None = None,
    checkers: Sequence[type[Checker]] = CHECKERS,
) -> Outcome:
    """Play one seed and answer what came of it."""
    plan = plan_of(seed)
    began = time.process_time()
    logger = logging.getLogger("tidings")
    collects = gc.isenabled()
    gc.disable()
    with bounds_of(plan):
        world = World(plan, trace=trace, checkers=checkers)
        bugs = _BugsInTheLog(world.journal)
        level, propagates = logger.level, logger.propagate
        logger.addHandler(bugs)
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        try:
            world.play()
        finally:
            logger.removeHandler(bugs)
            logger.setLevel(level)
            logger.propagate = propagates
            if collects:
                gc.enable()
    journal, record = world.journal, world.record
    return Outcome(
        seed=seed,
        broken=journal.broken,
        broken_at_hours=journal.broken_at / HOUR,
        hours=world.timeline.now / HOUR,
        seconds=time.process_time() - began,
        digest=journal.digest(),
        events=sum(not event.is_ours for event in record.events.values()),
        requests=len(record.wires),
        lives=len(record.lives),
        counted=journal.counted,
    )
