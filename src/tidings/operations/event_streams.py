"""Listening: events in the order of commits, from now on or from where somebody left off.

A listener holds nothing but its place. What is new comes from the feed that all share; what lies
further back it reads from the store in pages, one listener at a time, so that a crowd that comes
back after an outage slows nobody.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec

from tidings.core import limits
from tidings.core.event import CommittedEvent
from tidings.core.event_span import EventSpan
from tidings.core.pattern import matches
from tidings.core.refusals import RateLimited, Refusal, Unauthorized, Unavailable
from tidings.operations.access import Access, Principal
from tidings.operations.event_feed import EventFeed
from tidings.operations.inspection import check_patterns
from tidings.ports.store import Committed, Store, StoreUnavailable

_LOG = logging.getLogger(__name__)

EVERYTHING: Final = "*"
"""The pattern that stands for every event type but those of Tidings itself."""
_STORE_AWAY_SECONDS: Final = 1.0
_fits = lru_cache(maxsize=10_000)(matches)
_COME_BACK_SECONDS: Final = 5


class Arrived(msgspec.Struct, frozen=True):
    """Events that are wanted, oldest first."""

    events: list[CommittedEvent]


class Missed(msgspec.Struct, frozen=True):
    """Events behind `after_seq` and up to `through_seq` are gone; what comes next lies behind."""

    after_seq: int
    through_seq: int


class Quiet(msgspec.Struct, frozen=True):
    """Nothing came for a while. All up to `through_seq` has been looked at."""

    through_seq: int


class Ended(msgspec.Struct, frozen=True):
    """The stream is over: because of `refusal`, or because the server stops."""

    refusal: Refusal | None


Heard = Arrived | Missed | Quiet | Ended


class Listener:
    """Somebody who follows events. Made by `EventStreams.open`, and to be closed."""

    def __init__(
        self,
        streams: "EventStreams",
        principal: Principal,
        tenant_id: str | None,
        *,
        patterns: str,
        span: EventSpan,
        after_seq: int | None,
    ) -> None:
        self.principal = principal
        self.tenant_id = tenant_id
        self.seq = span.newest_seq if after_seq is None else span.place_after(after_seq)
        self._missed: Missed | None = None
        if after_seq is not None and self.seq != after_seq:
            self._missed = Missed(after_seq, self.seq)
        self._patterns = patterns
        self._streams = streams
        self._awake = asyncio.Event()
        self._ended: Ended | None = None
        self._channel = streams.feed.join(tenant_id, span.newest_seq, self._awake)

    async def next(self, *, wait_seconds: float) -> Heard:
        """What comes next; `Quiet` if that is nothing for `wait_seconds`."""
        try:
            async with asyncio.timeout(wait_seconds):
                while self._ended is None:
                    heard = await self._look()
                    if heard is not None:
                        return heard
        except TimeoutError:
            return Quiet(self.seq)
        return self._ended

    def end(self, refusal: Refusal | None = None) -> None:
        """Let the listener hear that it is over, and why."""
        self._ended = self._ended or Ended(refusal)
        self._awake.set()

    def close(self) -> None:
        """Make room for another listener."""
        self._streams.forget(self)
        self._streams.feed.leave(self._channel, self._awake)

    async def _look(self) -> Heard | None:
        if self._missed is not None:
            missed, self._missed = self._missed, None
            return missed
        recent = self._channel.recent
        if self.seq < recent.covers_after:
            return await self._catch_up()
        self._awake.clear()
        wanted = [one for one in recent.after(self.seq) if _fits(self._patterns, one.event_type)]
        self.seq = max(self.seq, recent.through_seq)
        if wanted:
            return Arrived(wanted)
        await self._awake.wait()
        return None

    async def _catch_up(self) -> Heard | None:
        """Read what lies further back than the feed remembers."""
        async with self._streams.catching_up:
            try:
                page = await self._streams.store.read_events_after(
                    self.seq,
                    tenant_id=self.tenant_id,
                    patterns=self._patterns,
                    limit=limits.STREAM_PAGE_ROWS_MAX,
                    bytes_max=limits.STREAM_PAGE_BYTES_MAX,
                )
            except StoreUnavailable:
                await asyncio.sleep(_STORE_AWAY_SECONDS)
                return None
        before, place = self.seq, page.span.place_after(self.seq)
        if place != before:
            self.seq = place
            return Missed(before, place)
        self.seq = page.through_seq
        return Arrived(page.events) if page.events else None


class EventStreams:
    """All who listen to events in this process. `run` must be running for anything to be heard."""

    def __init__(self, store: Store, access: Access) -> None:
        self.store = store
        self.feed = EventFeed(store)
        self.catching_up = asyncio.Semaphore(1)
        self._access = access
        self._listeners: set[Listener] = set()
        self._is_closing = False
        store.on_commit(self._committed)

    @property
    def open_count(self) -> int:
        """How many listen at the moment."""
        return len(self._listeners)

    async def open(
        self,
        principal: Principal,
        tenant_id: str | None,
        *,
        patterns: str | None = None,
        after_seq: int | None = None,
    ) -> Listener:
        """Listen to a tenant, or to all, from behind a place on, or from now on.

        Every event that is accepted after this has answered is heard. Raises `ValidationFailed`
        for bad patterns, `RateLimited` when too many listen, `Unavailable` when the server stops,
        and `StoreUnavailable`.
        """
        check_patterns(patterns)
        self._admit(principal, tenant_id)
        span = await self.store.read_event_span()
        self._admit(principal, tenant_id)
        listener = Listener(
            self,
            principal,
            tenant_id,
            patterns=patterns or EVERYTHING,
            span=span,
            after_seq=after_seq,
        )
        self._listeners.add(listener)
        return listener

    def forget(self, listener: Listener) -> None:
        """Count a listener no longer."""
        self._listeners.discard(listener)

    async def run(self) -> None:
        """Hand out what is new, until `close`."""
        while not self._is_closing:
            await self.feed.rest()
            try:
                self._end_refused()
                await self.feed.read_on()
            except Exception:  # noqa: BLE001 - one fault must not silence everybody for good
                _LOG.exception("the streams of events failed once; please report this")
            # What is committed meanwhile is read together.
            await asyncio.sleep(limits.STREAM_GATHER_MS / 1_000)

    def close(self) -> None:
        """End all streams, and let nobody listen from here on."""
        self._is_closing = True
        for listener in self._listeners:
            listener.end()
        self.feed.wake()

    def _admit(self, principal: Principal, tenant_id: str | None) -> None:
        if self._is_closing:
            raise Unavailable("the server is shutting down", retry_after_seconds=_COME_BACK_SECONDS)
        same_key = self._count(lambda one: one.principal.key_id == principal.key_id)
        same_tenant = self._count(lambda one: one.tenant_id == tenant_id)
        for count, most, whose in (
            (same_key, limits.STREAMS_PER_KEY_MAX, "with this key"),
            (same_tenant, limits.STREAMS_PER_TENANT_MAX, "of this tenant"),
            (len(self._listeners), limits.STREAMS_MAX, "on this server"),
        ):
            if count >= most:
                raise RateLimited(
                    f"{most} streams are open {whose}, and more are not allowed",
                    retry_after_seconds=_COME_BACK_SECONDS,
                )

    def _count(self, is_one: Callable[[Listener], bool]) -> int:
        return sum(1 for one in self._listeners if is_one(one))

    def _committed(self, changes: Committed) -> None:
        self.feed.committed(changes)
        if changes.revoked_key_ids and self._listeners:
            self.feed.wake()

    def _end_refused(self) -> None:
        for listener in self._listeners:
            if not self._access.holds(listener.principal):
                listener.end(Unauthorized("the API key was revoked, or has expired"))
