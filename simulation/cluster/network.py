"""The way to the database and to receivers: slow, lossy, and sometimes very late."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from simulation.cluster.table import Entry
from tidings.core.ownership import OpenSession, ReleaseShards, Statement

if TYPE_CHECKING:
    from simulation.cluster.worker import Flight, Worker
    from simulation.cluster.world import World

_USUAL_MS = (0.5, 30.0)
_SLOW_THERE_MS, _SLOW_BACK_MS = (50.0, 800.0), (100.0, 1_800.0)
_LATE_MS = (2_000, 30_000)
_ONLY_LATE_SHARE = 0.5
_RELEASES_LATE = 5
"""By how much releases are more often late: few statements are more dangerous then."""


class Network:
    """Carries statements, results and requests. All delays are drawn from the seed."""

    def __init__(self, world: "World", draw: random.Random) -> None:
        self._world = world
        self._draw = draw

    def run(self, worker: "Worker", statement: Statement) -> None:
        """Have the database run a statement about ownership."""
        ownership = worker.ownership
        self._call(
            worker,
            lambda: self._world.tables.run(statement),
            lambda answer: ownership.answered(statement, answer, worker.clock_ms()),
            is_once=isinstance(statement, OpenSession),
            late=_RELEASES_LATE if isinstance(statement, ReleaseShards) else 1,
        )

    def record(self, worker: "Worker", session: str, batch: list[Entry]) -> None:
        """Have the database store results."""
        self._call(
            worker,
            lambda: self._world.tables.record(session, batch),
            lambda is_stored: worker.recorded(session, batch, is_stored=bool(is_stored)),
        )

    def send(self, worker: "Worker", flight: "Flight") -> None:
        """Let a receiver answer, mostly soon, sometimes only at the deadline."""
        hangs = self._draw.random() < self._world.plan.hanging_share
        took_ms = self._draw.uniform(3_000, 5_000) if hangs else self._draw.uniform(10, 400)
        is_delivered = not hangs and self._draw.random() < 0.9

        def over() -> None:
            if not worker.is_dead:
                flight.is_over = True
                self._world.judge.send_over(flight.session, flight.row_id)
                worker.act(lambda: worker.answered(flight, is_delivered=is_delivered))

        self._world.at(self._world.now_ms + took_ms, over)

    def _call(
        self,
        worker: "Worker",
        run: Callable[[], object],
        answer: Callable[[object], None],
        *,
        is_once: bool = False,
        late: int = 1,
    ) -> None:
        """Carry something there and an answer back; late ones may come besides, a second time."""
        world = self._world
        way_there = self._delay_ms(worker, _SLOW_THERE_MS)
        way_back = self._delay_ms(worker, _SLOW_BACK_MS)
        if worker.is_cut_off:
            return

        def arrive() -> None:
            if world.is_database_down:
                return
            found = run()
            if not worker.is_cut_off and self._draw.random() >= world.plan.lost_share:
                world.at(world.now_ms + way_back, lambda: worker.act(lambda: answer(found)))

        if self._draw.random() < world.plan.late_share * late:
            world.judge.counted["late statements"] += 1
            world.at(world.now_ms + self._draw.uniform(*_LATE_MS), arrive)
            if is_once or self._draw.random() < _ONLY_LATE_SHARE:
                return
        world.at(world.now_ms + way_there, arrive)

    def _delay_ms(self, worker: "Worker", slow_ms: tuple[float, float]) -> float:
        return self._draw.uniform(*(slow_ms if worker.is_slow else _USUAL_MS))
