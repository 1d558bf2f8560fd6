"""Results on their way into the store: gathered for a moment, written many at a time.

While the store is away they wait here, and `is_overdue` stops new sends: a database that is away
must not cause more repeats than there were requests in flight. What belongs to somebody else by now
is dropped.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection

from tidings.core import limits
from tidings.core.ownership import shard_of
from tidings.ports.clock import Clock
from tidings.ports.store import Result, SessionLost, Store, StoreUnavailable

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 0.25


class Recorder:
    """Writes results. What a commit changed reaches the scheduler by the store's listener.

    A result that only a bug can keep from being recorded is given up and told to `on_lost`. When
    the session that fences them is gone, they are nobody's, and `on_fenced` is told.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        on_lost: Callable[[Result], None],
        on_fenced: Callable[[], None],
    ) -> None:
        self._store = store
        self._on_lost = on_lost
        self._on_fenced = on_fenced
        self._clock = clock
        self._waiting: deque[tuple[float, Result]] = deque()
        self._in_hand: list[tuple[float, Result]] = []
        self._awaiting_end: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def unrecorded(self) -> int:
        """How many results are not durable yet."""
        return len(self._waiting) + len(self._in_hand)

    def is_overdue(self) -> bool:
        """Whether so much is unrecorded that no request may start."""
        oldest = self._in_hand or self._waiting
        if not oldest:
            return False
        if self.unrecorded > limits.RESULTS_UNRECORDED_MAX:
            return True
        age_ms = self._clock.monotonic_ms() - oldest[0][0]
        return age_ms > limits.RESULT_UNRECORDED_AGE_MS_MAX

    def add(self, result: Result) -> None:
        """Take in a result; it is written within a few milliseconds."""
        self._waiting.append((self._clock.monotonic_ms(), result))
        if self._writing is not None:
            return
        if len(self._waiting) >= limits.RESULTS_MAX:
            self._begin()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(limits.RESULTS_GATHER_MS / 1_000, self._begin)

    async def flush(self) -> None:
        """Wait until everything is durable."""
        while self.unrecorded:
            if self._writing is None:
                self._begin()
            assert self._writing is not None
            await asyncio.shield(self._writing)

    def drop(self, shards: Collection[int]) -> None:
        """Forget the results of shards that are somebody else's."""

        def kept(one: tuple[float, Result]) -> bool:
            return shard_of(one[1].delivery.subscription_id) not in shards

        self._waiting = deque(filter(kept, self._waiting))
        self._in_hand = list(filter(kept, self._in_hand))

    async def wait_for_write(self) -> None:
        """Wait until the transaction that is under way, if any, is over in whatever way."""
        if self._writing is not None:
            over = asyncio.get_running_loop().create_future()
            self._awaiting_end.append(over)
            await over

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), limits.RESULTS_MAX)
                self._in_hand = [self._waiting.popleft() for _ in range(count)]
                if not await self._record([result for _, result in self._in_hand]):
                    self._waiting.extendleft(reversed(self._in_hand))
                self._in_hand = []
                self._tell_end()
        finally:
            self._writing = None
            self._tell_end()

    def _tell_end(self) -> None:
        awaiting, self._awaiting_end = self._awaiting_end, []
        for one in awaiting:
            if not one.done():
                one.set_result(None)

    async def _record(self, batch: list[Result]) -> bool:
        try:
            await self._store.record_results(batch)
        except StoreUnavailable as fault:
            _LOG.warning("results wait for the store: %s", fault)
            await asyncio.sleep(_RETRY_SECONDS)
            return False
        except SessionLost:
            _LOG.warning("the shards of %s results are somebody else's by now", len(batch))
            self._on_fenced()
        except Exception:  # noqa: BLE001 - told loudly below
            if len(batch) > 1:
                # One bad result must not keep the others from being recorded.
                for result in batch:
                    await self._record_alone(result)
            else:
                _LOG.exception("a result could not be recorded and is lost; the attempt repeats")
                self._on_lost(batch[0])
        return True

    async def _record_alone(self, result: Result) -> None:
        """Record a result of those in hand, unless it is dropped while the store is away."""
        while any(result is one for _, one in self._in_hand):
            if await self._record([result]):
                return
