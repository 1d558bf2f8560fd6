"""Results on their way into the store: gathered for a moment, written many at a time.

While the store is away they wait here, and `is_overdue` stops new sends: a database that is away
must not cause more repeats than there were requests in flight.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from tidings.core import limits
from tidings.ports.clock import Clock
from tidings.ports.store import Result, Store, StoreUnavailable

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 0.25


class Recorder:
    """Writes results. What a commit changed reaches the scheduler by the store's listener.

    A result that only a bug can keep from being recorded is given up and told to `on_lost`.
    """

    def __init__(self, store: Store, clock: Clock, on_lost: Callable[[Result], None]) -> None:
        self._store = store
        self._on_lost = on_lost
        self._clock = clock
        self._waiting: deque[tuple[float, Result]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def unrecorded(self) -> int:
        """How many results are not durable yet."""
        return len(self._waiting)

    def is_overdue(self) -> bool:
        """Whether so much is unrecorded that no request may start."""
        if not self._waiting:
            return False
        if len(self._waiting) > limits.RESULTS_UNRECORDED_MAX:
            return True
        age_ms = self._clock.monotonic_ms() - self._waiting[0][0]
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
        while self._waiting:
            if self._writing is None:
                self._begin()
            assert self._writing is not None
            await asyncio.shield(self._writing)

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
                batch = [self._waiting[index][1] for index in range(count)]
                if await self._record(batch):
                    for _ in batch:
                        self._waiting.popleft()
        finally:
            self._writing = None

    async def _record(self, batch: list[Result]) -> bool:
        try:
            await self._store.record_results(batch)
        except StoreUnavailable as fault:
            _LOG.warning("results wait for the store: %s", fault)
            await asyncio.sleep(_RETRY_SECONDS)
            return False
        except Exception:  # noqa: BLE001 - told loudly below
            if len(batch) > 1:
                # One bad result must not keep the others from being recorded.
                for result in batch:
                    while not await self._record([result]):
                        pass
            else:
                _LOG.exception("a result could not be recorded and is lost; the attempt repeats")
                self._on_lost(batch[0])
        return True
