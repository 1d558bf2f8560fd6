"""One reader of the log of events for all who listen: it reads on, and hands out what is new.

It goes by a cursor over `seq`, whoever wrote the events: so it works beside other processes on the
same database. What a commit of this process tells only wakes it. While nobody listens it rests.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from tidings.core import limits
from tidings.core.event import CommittedEvent
from tidings.core.recent_events import RecentEvents
from tidings.ports.store import Committed, Store, StoreUnavailable

_LOG = logging.getLogger(__name__)
_STORE_AWAY_SECONDS = 1.0


@dataclass(eq=False)
class Channel:
    """The newest events of one tenant, or of all, and whom to wake when there are more."""

    tenant_id: str | None
    recent: RecentEvents
    wakers: set[asyncio.Event] = field(default_factory=set)


class EventFeed:
    """Reads the log of events from where it is when somebody begins to listen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._channels: dict[str | None, Channel] = {}
        self._through_seq = 0
        self._awake = asyncio.Event()
        self._is_stale = False

    def join(self, tenant_id: str | None, newest_seq: int, waker: asyncio.Event) -> Channel:
        """Follow a tenant, or all; `newest_seq` is a place that the log has reached."""
        if not self._channels:
            self._through_seq = max(self._through_seq, newest_seq)
            self._awake.set()
        channel = self._channels.get(tenant_id)
        if channel is None:
            channel = Channel(tenant_id, RecentEvents(self._through_seq))
            self._channels[tenant_id] = channel
        channel.wakers.add(waker)
        return channel

    def leave(self, channel: Channel, waker: asyncio.Event) -> None:
        """Follow no longer."""
        channel.wakers.discard(waker)
        if not channel.wakers and self._channels.get(channel.tenant_id) is channel:
            del self._channels[channel.tenant_id]

    def committed(self, changes: Committed) -> None:
        """Hear of a commit; whoever publishes while nobody listens pays no more than this."""
        if not self._channels:
            return
        if changes.has_erased:
            self._forget()
        if changes.newest_event_seq:
            self._awake.set()

    def wake(self) -> None:
        """Look after what there is at once."""
        self._awake.set()

    async def rest(self) -> None:
        """Wait until there may be something new."""
        seconds = limits.STREAM_POLL_MS / 1_000 if self._channels else None
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            pass
        self._awake.clear()

    async def read_on(self) -> None:
        """Hand out all that is new. What cannot be read now is read later."""
        is_last = False
        while self._channels and not is_last:
            # Whoever joins during the read is told nothing of it, and reads for himself.
            reading, self._is_stale = dict(self._channels), False
            try:
                page = await self._store.read_events_after(
                    self._through_seq,
                    tenant_id=next(iter(reading)) if len(reading) == 1 else None,
                    patterns=None,
                    limit=limits.STREAM_PAGE_ROWS_MAX,
                    bytes_max=limits.STREAM_PAGE_BYTES_MAX,
                )
            except StoreUnavailable as fault:
                _LOG.warning("the streams of events wait for the store: %s", fault)
                await asyncio.sleep(_STORE_AWAY_SECONDS)
                return
            if page.span.deleted_seq > self._through_seq:
                # Something went before it was read: all look in the store what is missing.
                reading = {}
            if not self._is_stale:
                self._hand_out(reading, page.events, page.through_seq)
                is_last = page.is_last

    def _forget(self) -> None:
        """Hold nothing that was erased, nor what is being read at this moment."""
        self._is_stale = True
        for channel in self._channels.values():
            channel.recent = RecentEvents(self._through_seq)

    def _hand_out(
        self, reading: dict[str | None, Channel], events: list[CommittedEvent], through_seq: int
    ) -> None:
        self._through_seq = max(self._through_seq, through_seq)
        by_tenant: dict[str | None, list[CommittedEvent]] = {None: events}
        for event in events:
            by_tenant.setdefault(event.tenant_id, []).append(event)
        for tenant_id, channel in self._channels.items():
            if reading.get(tenant_id) is not channel:
                channel.recent = RecentEvents(self._through_seq)
            else:
                channel.recent.extend(by_tenant.get(tenant_id, []), through_seq)
            if tenant_id in by_tenant:
                for waker in channel.wakers:
                    waker.set()
