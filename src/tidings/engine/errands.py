"""What the scheduler asks of the store: rows to read and to end, subscriptions to load."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tidings.core.commands import (
    Command,
    LoadSubscription,
    ReadDueOfSubscription,
    ReadDueWindow,
    ReadPage,
    Settle,
)
from tidings.core.health import HEALTHY, Health
from tidings.core.limits import SETTLED_ROWS_MAX
from tidings.core.ownership import shard_of
from tidings.core.scheduler import Scheduler
from tidings.ports.clock import Clock
from tidings.ports.store import SessionLost, Store

_LOG = logging.getLogger(__name__)
_STORE_AWAY_SECONDS = 0.25


class Errands:
    """Carries out commands of the scheduler, each in a coroutine of its own, until `stop`."""

    def __init__(
        self,
        store: Store,
        scheduler: Scheduler,
        clock: Clock,
        restore_health: Callable[[str, Health], None],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._clock = clock
        self._restore_health = restore_health
        self._wake = wake
        self._running: set[asyncio.Task[None]] = set()
        self._ending_rows_of: list[str] = []
        self._strangers: set[str] = set()

    def begin(self, command: Command) -> None:
        """Carry out a command, and tell the scheduler what came of it."""
        begun = asyncio.create_task(self._carry_out(command))
        self._running.add(begun)
        begun.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        """Give up what is under way."""
        for errand in self._running:
            errand.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def busy_shards(self) -> set[int]:
        """The shards of which rows are being ended."""
        return set(map(shard_of, self._ending_rows_of))

    @contextmanager
    def ending_rows_of(self, subscription_id: str) -> Iterator[None]:
        """Let its shard count as busy while rows of a subscription are being ended."""
        self._ending_rows_of.append(subscription_id)
        try:
            yield
        finally:
            self._ending_rows_of.remove(subscription_id)
            self._wake()

    async def _carry_out(self, command: Command) -> None:
        try:
            if isinstance(command, Settle):
                with self.ending_rows_of(command.subscription_id):
                    await self._settle(command.subscription_id)
            elif isinstance(command, LoadSubscription):
                await self._load_subscription(command.subscription_id)
            else:
                await self._read(command)
        except SessionLost:
            _LOG.warning("rows were to be ended that are somebody else's by now")
        except Exception as fault:  # noqa: BLE001 - whatever it was, the rows must be read
            _LOG.warning("the engine could not use the store, and tries again: %r", fault)
            await asyncio.sleep(_STORE_AWAY_SECONDS)
            self._scheduler.failed(command)
        self._wake()

    async def _read(self, command: ReadPage | ReadDueOfSubscription | ReadDueWindow) -> None:
        reading, store = self._scheduler.reading, self._store
        if isinstance(command, ReadPage):
            page = await store.read_page(
                command.subscription_id, after_seq=command.after_seq, limit=command.limit
            )
            reading.page_read(
                command,
                page.rows,
                last_seq=page.last_seq,
                is_last=page.is_last,
                now_ms=self._clock.now_ms(),
            )
        elif isinstance(command, ReadDueOfSubscription):
            rows = await store.read_due_of_subscription(
                command.subscription_id, until_ms=command.until_ms, limit=command.limit
            )
            reading.due_of_subscription_read(command, rows, self._clock.now_ms())
        else:
            rows = await store.read_due(
                after=command.after,
                until_ms=command.until_ms,
                limit=command.limit,
                shards=command.shards,
            )
            reading.due_window_read(command, rows, self._clock.now_ms())

    async def _settle(self, subscription_id: str) -> None:
        """End the rows of a subscription that is over, a bounded number at a time."""
        ended = SETTLED_ROWS_MAX
        while ended >= SETTLED_ROWS_MAX:
            if not self._scheduler.tenures.owns(subscription_id):
                return
            ended = await self._store.settle_deliveries(
                subscription_id,
                excluding=self._scheduler.seqs_in_flight(subscription_id),
                now_ms=self._clock.now_ms(),
                limit=SETTLED_ROWS_MAX,
            )
        self._scheduler.settled(subscription_id)

    async def _load_subscription(self, subscription_id: str) -> None:
        """Load a subscription that nobody has told of, with all that are missing as well."""
        self._strangers.add(subscription_id)
        await asyncio.sleep(0)
        if subscription_id not in self._strangers:
            return
        wanted, self._strangers = self._strangers, set()
        try:
            records = await self._store.load_subscriptions()
        except BaseException:
            self._strangers |= wanted
            raise
        for record in records:
            subscription = record.subscription
            if subscription.subscription_id in wanted:
                if record.health is not HEALTHY:
                    self._restore_health(subscription.subscription_id, record.health)
                self._scheduler.subscription_changed(
                    subscription, self._clock.now_ms(), health=record.health
                )
