"""A worker: drives the rules of ownership, sends, and records, as `engine` will."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from simulation.cluster.table import Entry
from tidings.core import limits
from tidings.core.ownership import (
    BeginShards,
    ClaimShards,
    CloseSession,
    CutShards,
    DropShards,
    Duty,
    EndSession,
    HandOverShards,
    OpenSession,
    Ownership,
    ReleaseShards,
    RenewSession,
)

if TYPE_CHECKING:
    from simulation.cluster.world import World

_STATEMENTS = (
    OpenSession,
    RenewSession,
    EndSession,
    ClaimShards,
    ReleaseShards,
    CloseSession,
)
DEADLINE_MS = 5_000.0
_IN_FLIGHT_MAX = 20
_ALLOWANCE = 1 + 3 * limits.CLOCK_DRIFT_SHARE_MAX
"""What a due time at another's deadline adds, so that clocks may differ."""
_RETRY_MS = 1_000.0


@dataclass(eq=False)
class Flight:
    """A request on its way."""

    session: str
    shard: int
    row_id: int
    attempts: int
    deadline_ms: float
    is_abandoned: bool = False
    is_over: bool = False


class Worker:
    """One process. It lives until it crashes or has left; a session of its may end before."""

    def __init__(self, world: "World", name: str, *, offset_ms: float, drift: float) -> None:
        self.world = world
        self.name = name
        self.is_dead = False
        self.is_paused = False
        self.is_cut_off = False
        self.is_slow = False
        self.is_leaving = False
        self.well_since_ms = world.now_ms
        self._offset_ms = offset_ms
        self._drift = drift
        self._waiting: list[Callable[[], None]] = []
        self._wakes_at_ms = float("inf")
        self._flights: dict[int, Flight] = {}
        self._handed: set[int] = set()
        self._entries: list[Entry] = []
        self._recording: tuple[list[Entry], float] | None = None
        self.ownership = self._new_session()

    @property
    def session(self) -> str:
        """The session of now."""
        return self.ownership.session

    @property
    def is_well(self) -> bool:
        """Whether it has no trouble of its own."""
        return not (self.is_dead or self.is_paused or self.is_cut_off or self.is_slow)

    def clock_ms(self) -> float:
        """Its own clock, which never steps but may go wrong."""
        return self._offset_ms + self.world.now_ms * (1 + self._drift)

    # What happens to it.

    def crash(self) -> None:
        """Die at once, and all requests with it."""
        self.is_dead = True
        for flight in self._flights.values():
            if not flight.is_over:
                self.world.judge.send_over(flight.session, flight.row_id)
        self._flights = {}

    def leave(self) -> None:
        """Be asked to stop."""
        self.is_leaving = True
        self.act(lambda: self.ownership.leave(self.clock_ms()))

    def resume(self) -> None:
        """Go on after a pause, with all that came meanwhile."""
        self.is_paused = False
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self.act(one)

    def act(self, action: Callable[[], None]) -> None:
        """Do something in this process, now or when it is not paused any more."""
        if self.is_dead:
            return
        if self.is_paused:
            self._waiting.append(action)
            return
        action()
        self.pump()

    def pump(self) -> None:
        """Carry out what the rules want, and be woken when they want more."""
        if self.ownership.is_over:
            self._session_over()
            if self.is_dead:
                return
        for command in self.ownership.take_commands(self.clock_ms()):
            if isinstance(command, _STATEMENTS):
                self.world.network.run(self, command)
            else:
                self._do(command)
        self._record()
        self._look_for_quiet()
        wakes_at_ms = (self.ownership.next_wake_ms() - self._offset_ms) / (1 + self._drift)
        if wakes_at_ms < self._wakes_at_ms:
            self._wakes_at_ms = wakes_at_ms
            self.world.at(wakes_at_ms + 0.01, lambda: self.act(self._woken))

    def _woken(self) -> None:
        self._wakes_at_ms = float("inf")

    def _session_over(self) -> None:
        for command in self.ownership.take_commands(self.clock_ms()):
            assert not isinstance(command, _STATEMENTS)
            self._do(command)
        self._drop(set(range(self.world.plan.shards)))
        if self.is_leaving:
            self.is_dead = True
        else:
            self.ownership = self._new_session()

    def _new_session(self) -> Ownership:
        world = self.world
        self._recording = None
        return world.plan.ownership(
            world.new_session(self), now_ms=self.clock_ms(), shards=world.plan.shards
        )

    # What the rules want.

    def _do(self, duty: Duty) -> None:
        match duty:
            case BeginShards():
                self._handed -= set(duty.shards)
            case HandOverShards():
                self._handed |= set(duty.shards)
            case CutShards():
                self._cut(set(duty.shards))
            case DropShards():
                self._drop(set(duty.shards))

    def _cut(self, shards: set[int]) -> None:
        """Leave requests to themselves; whoever owns the shard next waits for their deadline."""
        for flight in self._flights.values():
            if flight.shard in shards and not flight.is_abandoned:
                flight.is_abandoned = True
                self.world.judge.counted["requests cut"] += 1
                left_ms = max(0.0, flight.deadline_ms - self.world.now_ms) * _ALLOWANCE
                due_at_ms = self.world.tables.now_ms() + left_ms
                self._entries.append(
                    Entry(flight.row_id, flight.shard, flight.attempts, due_at_ms, is_cut=True)
                )

    def _drop(self, shards: set[int]) -> None:
        for flight in self._flights.values():
            if flight.shard in shards:
                flight.is_abandoned = True
        self._entries = [one for one in self._entries if one.shard not in shards]
        self._handed -= shards

    def _look_for_quiet(self) -> None:
        if not self._handed:
            return
        busy = {one.shard for one in self._flights.values() if not one.is_abandoned}
        busy.update(one.shard for one in self._entries)
        quiet = self._handed - busy if self.world.plan.waits_for_commits else self._handed
        if quiet:
            self._handed = self._handed - quiet
            self.world.at(self.world.now_ms, lambda: self.act(partial(self._quiet, quiet)))

    def _quiet(self, shards: set[int]) -> None:
        for shard in sorted(shards):
            self.ownership.quiet(shard)

    # Sending and recording.

    def send(self) -> None:
        """Start what may start."""
        tables, ownership, now_ms = self.world.tables, self.ownership, self.world.now_ms
        if not tables.rows:
            return
        recording = {entry.row_id for entry in self._entries}
        for shard, rows in tables.rows.items():
            if not ownership.may_send(shard, self.clock_ms()):
                continue
            for row in rows.values():
                if len(self._flights) >= _IN_FLIGHT_MAX:
                    return
                is_free = row.row_id not in self._flights and row.row_id not in recording
                if is_free and row.due_at_ms <= tables.now_ms():
                    self.world.judge.send_started(self.session, shard, row.row_id)
                    flight = Flight(
                        self.session, shard, row.row_id, row.attempts, now_ms + DEADLINE_MS
                    )
                    self._flights[row.row_id] = flight
                    self.world.network.send(self, flight)

    def answered(self, flight: Flight, *, is_delivered: bool) -> None:
        """A request came to its end."""
        self._flights.pop(flight.row_id, None)
        if flight.is_abandoned or flight.session != self.session:
            return
        due_at_ms = 0 if is_delivered else self.world.tables.now_ms() + _RETRY_MS
        self._entries.append(
            Entry(flight.row_id, flight.shard, flight.attempts, due_at_ms, has_ended=is_delivered)
        )

    def _record(self) -> None:
        """One transaction at a time; without an answer it is repeated, with whatever came since."""
        if not self._entries:
            return
        now_ms, timeout_ms = self.world.now_ms, limits.COORDINATION_TIMEOUT_MS
        if self._recording is not None and now_ms < self._recording[1] + timeout_ms:
            return
        batch = list(self._entries)
        self._recording = (batch, now_ms)
        self.world.network.record(self, self.session, batch)
        self.world.at(now_ms + timeout_ms + 1, lambda: self.act(lambda: None))

    def recorded(self, session: str, batch: list[Entry], *, is_stored: bool) -> None:
        """A transaction with results was answered."""
        if session != self.session or self._recording is None or self._recording[0] is not batch:
            return
        self._recording = None
        if is_stored:
            done = set(map(id, batch))
            self._entries = [entry for entry in self._entries if id(entry) not in done]
        else:
            self.ownership.fenced()
