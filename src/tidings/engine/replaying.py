"""Carries out replays in bulk: a step at a time, and only while few of its rows still wait.

A replay is a row with a cursor; each step begins some deliveries and moves the cursor in one
transaction. What was begun when the process died stays begun, and the rest follows at its return.
"""

import asyncio
import logging

from tidings.core import limits
from tidings.core.refusals import NotFound
from tidings.ports.clock import Clock
from tidings.ports.store import Committed, Store, StoreUnavailable

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.05
_STORE_AWAY_SECONDS = 0.5


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
            for replay_id, waiting in list(self._waiting.items()):
                room = limits.REPLAYED_ROWS_WAITING_MAX - len(waiting)
                if room >= limits.SETTLED_ROWS_MAX:
                    await self._step(replay_id)
            if not self._waiting:
                self._begun.clear()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _step(self, replay_id: str) -> None:
        try:
            await self._store.advance_replay(
                replay_id, now_ms=self._clock.now_ms(), limit=limits.SETTLED_ROWS_MAX
            )
        except StoreUnavailable:
            await asyncio.sleep(_STORE_AWAY_SECONDS)
        except NotFound:
            # Its tenant was erased, and the replay with it.
            self._waiting.pop(replay_id, None)
        except Exception:  # noqa: BLE001 - one replay must not end the others
            _LOG.exception("a replay could not go on and will try again")
            await asyncio.sleep(_STORE_AWAY_SECONDS)
