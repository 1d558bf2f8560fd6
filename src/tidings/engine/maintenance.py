"""What must be done now and then: end what was held too long, expire, delete, audit, forget."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from tidings.core import limits
from tidings.core.endpoint import Endpoint
from tidings.engine.dispatcher import Dispatcher
from tidings.engine.open_figures import OpenFigures
from tidings.ports.clock import Clock
from tidings.ports.store import SessionLost, Store, StoreUnavailable

_LOG = logging.getLogger(__name__)
_DAY_MS = 86_400_000
_ROWS_AT_ONCE = limits.RETAINED_ROWS_MAX
_BREATH_SECONDS = 0.02
_EXPIRES_BEFORE_RETENTION_MS = _DAY_MS
_RETENTION_SHARE = 0.01
"""For which part of its time an old event may be kept longer, where that time is short."""
_RETENTION_SECONDS_MIN = 1.0


@dataclass(frozen=True, slots=True)
class Beats:
    """How often each chore is done. The simulation of days draws slower ones from its seed."""

    held_seconds: float = 30.0
    retention_seconds: float = 600.0
    audit_seconds: float = 0.5
    forget_seconds: float = 60.0
    roll_up_seconds: float = 2.0
    coarsen_seconds: float = 20.0


class Maintenance:
    """The chores of one owner, each on its own beat.

    What is to be done once for all is done by whoever `is_first`.
    """

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        clock: Clock,
        figures: OpenFigures,
        *,
        retention_days: float,
        beats: Beats,
        is_first: Callable[[], bool],
    ) -> None:
        self._beats = beats
        self._store = store
        self._dispatcher = dispatcher
        self._scheduler = dispatcher.scheduler
        self._clock = clock
        self._is_first = is_first
        self._figures = figures
        self._retention_ms = round(retention_days * _DAY_MS)
        self._audited: list[str] = []
        self.rows_missing = 0

    async def run(self) -> None:
        """Do all chores on their beats, for ever."""
        beats = self._beats
        retention_seconds = min(
            beats.retention_seconds,
            max(_RETENTION_SECONDS_MIN, self._retention_ms * _RETENTION_SHARE / 1_000),
        )
        async with asyncio.TaskGroup() as chores:
            for beat_seconds, chore in (
                (beats.held_seconds, self.end_held),
                (retention_seconds, self.retain),
                (beats.audit_seconds, self.audit),
                (beats.forget_seconds, self._forget_idle),
                (beats.roll_up_seconds, self._figures.write_closed),
                (beats.coarsen_seconds, self.coarsen),
            ):
                chores.create_task(_repeat(beat_seconds, chore))

    async def end_held(self) -> None:
        """Dead-letter what an open endpoint has held for the whole span of its retry schedule."""
        for endpoint in self._scheduler.endpoints():
            if endpoint.health.is_open and endpoint.may_send():
                with (
                    self._dispatcher.errands.ending_rows_of(endpoint.subscription.subscription_id),
                    suppress(SessionLost),
                ):
                    await self._end_held_of(endpoint)

    async def _end_held_of(self, endpoint: Endpoint) -> None:
        subscription = endpoint.subscription
        ended = limits.SETTLED_ROWS_MAX
        while ended >= limits.SETTLED_ROWS_MAX and endpoint.health.is_open and endpoint.is_ours:
            now_ms = self._clock.now_ms()
            ended = await self._store.end_held_deliveries(
                subscription.subscription_id,
                queued_before_ms=now_ms - subscription.retry_policy.span_ms,
                excluding=self._scheduler.seqs_in_flight(subscription.subscription_id),
                now_ms=now_ms,
                limit=limits.SETTLED_ROWS_MAX,
            )
            await asyncio.sleep(_BREATH_SECONDS)

    async def retain(self) -> None:
        """Expire what is unfinished a day before its event goes, then delete old events.

        Audit records have their own time.
        """
        if not self._is_first():
            return
        now_ms = self._clock.now_ms()
        oldest_ms = now_ms - self._retention_ms
        expiring_ms = oldest_ms + min(_EXPIRES_BEFORE_RETENTION_MS, self._retention_ms // 2)
        await _until_nothing_is_left(
            lambda: self._store.expire_deliveries(
                accepted_before_ms=expiring_ms, now_ms=now_ms, limit=_ROWS_AT_ONCE
            )
        )
        if not await self._store.retain_days(accepted_before_ms=oldest_ms, now_ms=now_ms):
            await _until_nothing_is_left(
                lambda: self._store.delete_expired(
                    accepted_before_ms=oldest_ms, limit=_ROWS_AT_ONCE
                )
            )
        await _until_nothing_is_left(
            lambda: self._store.delete_audit_records(
                recorded_before_ms=now_ms - limits.AUDIT_DAYS * _DAY_MS,
                limit=_ROWS_AT_ONCE,
            )
        )

    async def coarsen(self) -> None:
        """Join statistics that have aged, and delete those that are older than events may be."""
        if not self._is_first():
            return
        now_ms = self._clock.now_ms()

        async def join(span_seconds: int, into_seconds: int, kept_ms: int) -> None:
            await _until_nothing_is_left(
                lambda: self._store.coarsen_roll_ups(
                    span_seconds=span_seconds,
                    into_seconds=into_seconds,
                    before_ms=now_ms - kept_ms,
                    limit=limits.ROLL_UPS_AT_ONCE,
                )
            )

        minute, hour = limits.ROLL_UP_MINUTE_SECONDS, limits.ROLL_UP_HOUR_SECONDS
        await join(limits.ROLL_UP_SECONDS, minute, limits.ROLL_UP_SECONDS_KEPT_MS)
        await join(minute, hour, limits.ROLL_UP_MINUTES_KEPT_MS)
        await _until_nothing_is_left(
            lambda: self._store.delete_roll_ups(
                before_ms=now_ms - self._retention_ms, limit=limits.ROLL_UPS_AT_ONCE
            )
        )

    async def audit(self) -> None:
        """Compare one endpoint's rows in the table with those in memory.

        It should find nothing. What it finds was lost by a bug of ours, and is sent after all.
        """
        if not self._audited:
            self._audited = [
                endpoint.subscription.subscription_id
                for endpoint in self._scheduler.endpoints()
                if endpoint.caught_up
            ]
        if not self._audited:
            return
        subscription_id = self._audited.pop()
        reading = self._scheduler.reading.begin_read()
        try:
            page = await self._store.read_page(subscription_id, after_seq=0, limit=_ROWS_AT_ONCE)
        except StoreUnavailable:
            self._scheduler.reading.missing_rows(subscription_id, [], reading, 0)
            raise
        missing = self._scheduler.reading.missing_rows(
            subscription_id, page.rows, reading, self._clock.now_ms()
        )
        if missing:
            self.rows_missing += len(missing)
            _LOG.error(
                "the audit found deliveries that nobody would have sent; please report this",
                extra={"subscription_id": subscription_id, "rows": len(missing)},
            )
            self._dispatcher.wake()

    async def _forget_idle(self) -> None:
        self._scheduler.forget_idle(keep=limits.ENDPOINTS_IN_MEMORY_MAX)


async def _until_nothing_is_left(step: Callable[[], Awaitable[int]]) -> None:
    """Repeat a step with pauses, so that publishing and delivering go between."""
    done = 1
    while done:
        done = await step()
        await asyncio.sleep(_BREATH_SECONDS)


async def _repeat(beat_seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(beat_seconds)
        try:
            await chore()
        except StoreUnavailable as fault:
            _LOG.warning("maintenance waits for the store: %s", fault)
        except Exception:  # noqa: BLE001 - one failed chore must not end the others
            _LOG.exception("a chore of the maintenance failed; it will be tried again")
