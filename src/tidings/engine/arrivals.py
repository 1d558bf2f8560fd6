"""Reads what others have committed: one cursor over everything, in the order of commits.

A shard is taken up in two steps, so that no row falls between what the reader tells and what is
looked for in the table: from `include` on the reader notes which subscriptions of it got rows, and
from `tell` on it tells the scheduler. What is looked for in the table in between is found there, or
is noted.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable

from tidings.core.delivery import Delivery
from tidings.core.ownership import shard_of
from tidings.core.scheduler import Scheduler
from tidings.engine.dispatcher import Dispatcher
from tidings.ports.clock import Clock
from tidings.ports.cluster import Arrivals, ClusterStore
from tidings.ports.store import Committed, StoreUnavailable

_LOG = logging.getLogger(__name__)
_ROWS_AT_ONCE = 1_000
_POLL_MS_MIN = 5.0
_POLL_MS_MAX = 100.0
_STORE_AWAY_MS = 250.0


class ArrivalReader:
    """Tells the scheduler of what has come about in our shards."""

    def __init__(self, store: ClusterStore, dispatcher: Dispatcher, clock: Clock) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._clock = clock
        self._cursor_seq = 0
        self._told: frozenset[int] = frozenset()
        self._noted: dict[int, set[str]] = {}
        self._inclusions = 0
        self._nudged = asyncio.Event()
        self._including = asyncio.Lock()

    def committed(self, changes: Committed) -> None:
        """Look at once for what this process has committed itself."""
        if changes.arrived:
            self.nudge()

    def nudge(self) -> None:
        """Read now, and not only when the next look is due."""
        self._nudged.set()

    async def include(self, shards: Iterable[int]) -> None:
        """Note from now on which subscriptions of these shards get rows.

        Everything before can be found in the table as soon as this has answered. Raises
        `StoreUnavailable`.
        """
        async with self._including:
            if not self._told and not self._noted:
                self._cursor_seq = await self._store.newest_seq()
            for shard in shards:
                self._noted.setdefault(shard, set())
            # A read that is under way has left these out, so its answer is thrown away.
            self._inclusions += 1

    def tell(self, shards: Collection[int]) -> set[str]:
        """Tell of these shards from now on; answers the subscriptions that got rows meanwhile."""
        noted: set[str] = set()
        for shard in shards:
            noted |= self._noted.pop(shard, set())
        self._told |= frozenset(shards)
        return noted

    def exclude(self, shards: Collection[int]) -> None:
        """Read nothing of these any more."""
        for shard in shards:
            self._noted.pop(shard, None)
        self._told -= frozenset(shards)

    async def run(self) -> None:
        """Read for ever."""
        poll_ms = _POLL_MS_MIN
        while True:
            self._nudged.clear()
            try:
                found = await self._read()
            except StoreUnavailable as fault:
                _LOG.warning("what others have committed cannot be read: %s", fault)
                found, poll_ms = 0, _STORE_AWAY_MS
            except Exception:  # noqa: BLE001 - without it nothing is sent any more
                _LOG.exception("what others have committed could not be read, and will be again")
                found, poll_ms = 0, _STORE_AWAY_MS
            else:
                poll_ms = _POLL_MS_MIN if found else min(poll_ms * 2, _POLL_MS_MAX)
            if found < _ROWS_AT_ONCE:
                await self._pause(poll_ms)

    async def _pause(self, milliseconds: float) -> None:
        """Wait until the next look is due, or somebody knows of something."""
        timer = asyncio.get_running_loop().call_later(milliseconds / 1_000, self._nudged.set)
        try:
            await self._nudged.wait()
        finally:
            timer.cancel()

    async def _read(self) -> int:
        """Read once; answers how much was found."""
        shards = self._told.union(self._noted)
        if not shards:
            return 0
        inclusions, after_seq = self._inclusions, self._cursor_seq
        reading = self._dispatcher.scheduler.reading
        number = reading.begin_read()
        try:
            found = await self._store.read_arrivals(
                after_seq=after_seq, shards=shards, limit=_ROWS_AT_ONCE
            )
            if inclusions != self._inclusions:
                return _ROWS_AT_ONCE
            self._cursor_seq = found.through_seq
            self._take_in(found)
        finally:
            reading.end_read(number)
        return len(found.rows) + len(found.changed) + len(found.ended)

    def _take_in(self, found: Arrivals) -> None:
        scheduler, now_ms = self._dispatcher.scheduler, self._clock.now_ms()
        if self._noted:
            self._note(found.rows)
            self._note(found.changed)
        _tell(scheduler, found, now_ms)
        if found.rows or found.changed or found.ended:
            self._dispatcher.wake()

    def _note(self, rows: list[Delivery]) -> None:
        for row in rows:
            noted = self._noted.get(shard_of(row.subscription_id))
            if noted is not None:
                noted.add(row.subscription_id)


def _tell(scheduler: Scheduler, found: Arrivals, now_ms: int) -> None:
    """Tell what concerns our shards; of others the scheduler takes nothing in."""
    if found.ended:
        scheduler.ended(found.ended, now_ms)
    if found.changed:
        scheduler.changed(found.changed, now_ms)
    if found.ended:
        # Before new rows, which would go past followers that have waited.
        scheduler.all_told(found.ended, now_ms)
    if found.rows:
        scheduler.arrived(found.rows, now_ms)
