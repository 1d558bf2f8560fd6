"""Carries out replays in bulk: a step at a time, and only while few of its rows still wait.

A replay is a row with a cursor; each step begins some deliveries and moves the cursor in one
transaction. What was begun when the process died stays begun, and the rest follows at its return.
"""

import asyncio
import logging
from collections.abc import Callable

from tidings.core import limits
from tidings.core.ownership import shard_of
from tidings.core.refusals import NotFound
from tidings.ports.clock import Clock
from tidings.ports.cluster import ClusterStore
from tidings.ports.store import Committed, SessionLost, Store, StoreUnavailable

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.05
_STORE_AWAY_SECONDS = 0.5
_LOOK_SECONDS = 1.0
_ASK_AGAIN_MS = 250.0
_STEP_FORGOTTEN_MS = 60_000.0
"""After so long the rows of a step that are not finished count as waiting for something else."""
_WAITING_MAX = limits.REPLAYED_ROWS_WAITING_MAX - limits.SETTLED_ROWS_MAX


class Replaying:
    """The replays that are not finished, and the rows of theirs that wait."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[str, set[int]] = {}
        self._begun = asyncio.Event()

    async def restore(self) -> None:
        """Take up what an earlier process left."""
        for replay in await self._store.load_replays():
            self._waiting[replay.replay_id] = set()
            self._begun.set()

    def committed(self, changes: Committed) -> None:
        """Follow a commit: new replays, their rows, and rows that were tried or ended."""
        if changes.replays:
            self._begun.set()
        for replay in changes.replays:
            waiting = self._waiting.setdefault(replay.replay_id, set())
            waiting.update(delivery.seq for delivery in changes.arrived)
            if replay.finished_at_ms is not None:
                del self._waiting[replay.replay_id]
        if self._waiting and (changes.recorded or changes.ended):
            done = {result.delivery.seq for result, _ in changes.recorded}
            done.update(delivery.seq for delivery in changes.ended)
            for waiting in self._waiting.values():
                waiting.difference_update(done)

    async def run(self) -> None:
        """Advance replays, one step each in turn, for ever."""
        while True:
            await self._begun.wait()
            for replay_id in list(self._waiting):
                if await self._may_go_on(replay_id):
                    await self._step(replay_id)
            if not self._waiting:
                self._begun.clear()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _may_go_on(self, replay_id: str) -> bool:
        """Whether few enough of its rows wait for another step."""
        return len(self._waiting.get(replay_id, ())) <= _WAITING_MAX

    async def _step(self, replay_id: str) -> None:
        try:
            replay = await self._store.advance_replay(
                replay_id, now_ms=self._clock.now_ms(), limit=limits.SETTLED_ROWS_MAX
            )
        except StoreUnavailable:
            await asyncio.sleep(_STORE_AWAY_SECONDS)
        except (NotFound, SessionLost):
            # Its tenant was erased, or its shard is somebody else's; and the replay with it.
            self._waiting.pop(replay_id, None)
        except Exception:  # noqa: BLE001 - one replay must not end the others
            _LOG.exception("a replay could not go on and will try again")
            await asyncio.sleep(_STORE_AWAY_SECONDS)
        else:
            if replay.finished_at_ms is not None:
                self._waiting.pop(replay_id, None)


class SharedReplaying(Replaying):
    """The same where shards have owners: a replay is carried out by the owner of its id's shard.

    It is started anywhere, so the store is asked now and then what there is. Its rows are everybody
    else's as well, so the store is asked how many of the last steps are unfinished.
    """

    def __init__(self, store: ClusterStore, clock: Clock, owns: Callable[[int], bool]) -> None:
        super().__init__(store, clock)
        self._cluster = store
        self._owns = owns
        self._looks = asyncio.Event()
        self._steps: dict[str, tuple[set[int], float]] = {}
        self._asked_at_ms = 0.0

    def look(self) -> None:
        """Look for replays of shards that have just begun."""
        self._looks.set()

    def committed(self, changes: Committed) -> None:
        """Follow a commit of this process: a replay that was started here, or a step of ours."""
        begun = {delivery.seq for delivery in changes.arrived}
        for replay in changes.replays:
            replay_id = replay.replay_id
            if replay.finished_at_ms is not None:
                self._forget(replay_id)
            elif self._owns(shard_of(replay_id)):
                last, _ = self._steps.get(replay_id, (set(), 0.0))
                self._waiting[replay_id] = last | begun
                self._steps[replay_id] = (begun, self._clock.monotonic_ms())
                self._begun.set()

    async def run(self) -> None:
        """Look for replays and advance them, for ever."""
        async with asyncio.TaskGroup() as both:
            both.create_task(super().run())
            both.create_task(self._look_for_replays())

    async def _look_for_replays(self) -> None:
        while True:
            self._looks.clear()
            try:
                replays = await self._store.load_replays()
            except Exception as fault:  # noqa: BLE001 - it is looked again soon
                _LOG.warning("replays could not be looked for: %r", fault)
                replays = []
            for replay in replays:
                if self._owns(shard_of(replay.replay_id)):
                    self._waiting.setdefault(replay.replay_id, set())
                    self._begun.set()
            timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._looks.set)
            try:
                await self._looks.wait()
            finally:
                timer.cancel()

    async def _may_go_on(self, replay_id: str) -> bool:
        if not self._owns(shard_of(replay_id)):
            self._forget(replay_id)
            return False
        waiting, now_ms = self._waiting.get(replay_id, set()), self._clock.monotonic_ms()
        _, stepped_at_ms = self._steps.get(replay_id, (set(), 0.0))
        if len(waiting) <= _WAITING_MAX or now_ms - stepped_at_ms > _STEP_FORGOTTEN_MS:
            return True
        if now_ms - self._asked_at_ms < _ASK_AGAIN_MS:
            return False
        try:
            unfinished = await self._cluster.count_unfinished(waiting)
        except StoreUnavailable:
            unfinished = len(waiting)
        if unfinished > _WAITING_MAX:
            self._asked_at_ms = now_ms
            return False
        return True

    def _forget(self, replay_id: str) -> None:
        self._waiting.pop(replay_id, None)
        self._steps.pop(replay_id, None)
