"""Listeners hear everything once and in order, whatever happens around them, in any order."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.support.stores import open_sqlite_store
from tests.support.values import NOW_MS, an_event
from tidings.core import limits
from tidings.core.event import data_of
from tidings.core.pattern import matches
from tidings.operations.access import DEVELOPER, Access
from tidings.operations.event_streams import Arrived, Ended, EventStreams, Listener, Missed
from tidings.ports.store import Store
from tidings.system import SystemChance, SystemClock

TENANTS = ("ours", "theirs")
tenants = st.sampled_from((*TENANTS, None))
patterns = st.sampled_from(("*", "a.*", "a.b, c"))
anywhere = st.integers(0, 10_000)


@dataclass
class Happened:
    """An event as the model knows it."""

    name: str
    tenant_id: str
    event_type: str
    seq: int = 0
    is_erased: bool = False
    is_deleted: bool = False


@dataclass
class Ear:
    """A listener, and what it has heard."""

    listener: Listener
    tenant_id: str | None
    patterns: str
    after_seq: int
    heard: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)
    """What was erased before it was heard."""

    def wants(self, event: Happened) -> bool:
        """Whether the event is one for this listener."""
        return (
            event.seq > self.after_seq
            and self.tenant_id in (None, event.tenant_id)
            and matches(self.patterns, event.event_type)
        )


class StreamMachine(RuleBasedStateMachine):
    """One store, the streams of it, and a plain list of what happened."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.now_ms = NOW_MS
        self.happened: list[Happened] = []
        self.ears: list[Ear] = []
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.rest = AsyncExitStack()
        self.store: Store = await self.rest.enter_async_context(
            open_sqlite_store(Path(self.folder.name))
        )
        access = Access(self.store, SystemClock(), SystemChance())
        self.streams = EventStreams(self.store, access)
        self.running = asyncio.create_task(self.streams.run())

    def teardown(self) -> None:
        for tenant_id in TENANTS:
            self.publish(tenant_id, "a.b", 1)
        for place in range(len(self.ears)):
            self.hear(place)
        self.runner.run(self._close())
        self.runner.close()
        self.folder.cleanup()

    async def _close(self) -> None:
        self.streams.close()
        for ear in self.ears:
            assert isinstance(await ear.listener.next(wait_seconds=30), Ended)
            ear.listener.close()
        assert self.streams.open_count == 0
        await self.running
        await self.rest.aclose()

    # What can happen.

    @rule(
        tenant_id=st.sampled_from(TENANTS),
        event_type=st.sampled_from(("a.b", "a.c", "c", "d")),
        count=st.sampled_from((1, 1, 3, limits.STREAM_RECENT_EVENTS_MAX + 9)),
    )
    def publish(self, tenant_id: str, event_type: str, count: int) -> None:
        self.now_ms += 1
        new = [
            Happened(f"e{len(self.happened) + number}", tenant_id, event_type)
            for number in range(count)
        ]
        self.happened += new
        self.runner.run(self._publish(new))

    async def _publish(self, new: list[Happened]) -> None:
        before = (await self.store.read_event_span()).newest_seq
        await self.store.accept_events(
            [an_event(one.event_type, tenant_id=one.tenant_id, event_id=one.name) for one in new],
            now_ms=self.now_ms,
        )
        page = await self.store.read_events_after(
            before, tenant_id=None, patterns=None, limit=9_999, bytes_max=1 << 30
        )
        for one, stored in zip(new, page.events, strict=True):
            one.seq = stored.seq

    @rule(tenant_id=tenants, wanted=patterns, place=st.none() | anywhere)
    def listen(self, tenant_id: str | None, wanted: str, place: int | None) -> None:
        if len(self.ears) < 6:
            known = [0, *(one.seq for one in self.happened)]
            self.runner.run(
                self._listen(
                    tenant_id, wanted, None if place is None else known[place % len(known)]
                )
            )

    async def _listen(self, tenant_id: str | None, wanted: str, after_seq: int | None) -> None:
        listener = await self.streams.open(
            DEVELOPER, tenant_id, patterns=wanted, after_seq=after_seq
        )
        if after_seq is None:
            after_seq = max((one.seq for one in self.happened), default=0)
        self.ears.append(Ear(listener, tenant_id, wanted, after_seq))

    @rule(place=anywhere)
    def go(self, place: int) -> None:
        if self.ears:
            self.hear(place)
            self.ears.pop(place % len(self.ears)).listener.close()

    @rule(place=anywhere)
    def hear(self, place: int) -> None:
        if self.ears:
            self.runner.run(self._hear(self.ears[place % len(self.ears)]))

    async def _hear(self, ear: Ear) -> None:
        """Listen until all is heard that can be."""
        wanted = [one for one in self.happened if ear.wants(one)]
        due = {one.name for one in wanted if not (one.is_erased or one.is_deleted)}
        if not due - set(ear.heard):
            return  # what is missing is told together with what comes behind it
        while due - set(ear.heard):
            heard = await ear.listener.next(wait_seconds=30)
            match heard:
                case Arrived(events):
                    ear.heard += [an_event_name(one.body) for one in events]
                    ear.places += [one.seq for one in events]
                case Missed():
                    ear.missed.append(heard)
                case _:
                    raise AssertionError(f"{heard}, though {due - set(ear.heard)} is due")
        assert len(set(ear.heard)) == len(ear.heard)
        assert ear.places == sorted(ear.places)
        for one in wanted:
            is_told = any(gap.after_seq < one.seq <= gap.through_seq for gap in ear.missed)
            is_later = one.seq > ear.listener.seq
            assert one.name in ear.heard or one.is_erased or is_told or is_later, one
        assert set(ear.heard) <= {one.name for one in wanted} - ear.erased

    @rule(place=anywhere)
    def erase(self, place: int) -> None:
        left = [one for one in self.happened if not one.is_deleted]
        if left:
            event = left[place % len(left)]
            event.is_erased = True
            self.runner.run(
                self.store.erase_event_data(event.tenant_id, event.name, now_ms=self.now_ms)
            )
            for ear in self.ears:
                if event.name not in ear.heard:
                    ear.erased.add(event.name)

    @rule(limit=st.integers(1, 400))
    def expire(self, limit: int) -> None:
        count = self.runner.run(
            self.store.delete_expired(accepted_before_ms=self.now_ms, limit=limit)
        )
        for one in [one for one in self.happened if not one.is_deleted][:count]:
            one.is_deleted = True


def an_event_name(body: bytes) -> str:
    """The id in a body."""
    assert data_of(body) == b"{}"
    return body.split(b'"')[3].decode()


def test_any_order_of_things_leaves_nothing_out() -> None:
    run_state_machine_as_test(
        StreamMachine,
        settings=settings(max_examples=25, stateful_step_count=25, deadline=None),
    )


class SlowFeed:
    """Streams whose feed stands still before or behind a read, until it is let go."""

    def __init__(self, store: Store, *, before_read: bool) -> None:
        self.store = store
        self.streams = EventStreams(store, Access(store, SystemClock(), SystemChance()))
        self.is_held = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self._read = store.read_events_after
        self._before_read = before_read
        self._running = asyncio.create_task(self.streams.run())
        store.read_events_after = self._read_slowly  # type: ignore[method-assign]

    async def _read_slowly(self, *arguments: Any, **named: Any) -> Any:
        page = None if self._before_read else await self._read(*arguments, **named)
        if page is None or page.events:
            self.is_held.set()
            await self.may_go_on.wait()
        return page or await self._read(*arguments, **named)

    async def close(self) -> None:
        """End it."""
        self.streams.close()
        await self._running


@pytest.mark.parametrize("before_read", [True, False])
async def test_whoever_joins_while_the_feed_reads_for_another_misses_nothing(
    tmp_path: Path, before_read: bool
) -> None:
    async with open_sqlite_store(tmp_path) as store:
        feed = SlowFeed(store, before_read=before_read)
        first = await feed.streams.open(DEVELOPER, "ours")
        await store.accept_events([an_event(tenant_id="ours")], now_ms=NOW_MS)
        await feed.is_held.wait()
        second = await feed.streams.open(DEVELOPER, "theirs")
        await store.accept_events([an_event(tenant_id="theirs")], now_ms=NOW_MS)
        feed.may_go_on.set()
        for listener in (first, second):
            heard = await listener.next(wait_seconds=10)
            assert isinstance(heard, Arrived)
            assert {one.tenant_id for one in heard.events} == {listener.tenant_id}
            listener.close()
        await feed.close()


async def test_what_is_erased_while_the_feed_reads_it_is_told_to_nobody(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path) as store:
        feed = SlowFeed(store, before_read=False)
        listener = await feed.streams.open(DEVELOPER, "default")
        first, second = an_event(), an_event()
        await store.accept_events([first, second], now_ms=NOW_MS)
        await feed.is_held.wait()
        await store.erase_event_data("default", first.event_id, now_ms=NOW_MS)
        feed.may_go_on.set()
        heard = await listener.next(wait_seconds=10)
        assert isinstance(heard, Arrived)
        assert [one.body for one in heard.events] == [second.body]
        listener.close()
        await feed.close()


async def test_a_fault_of_ours_silences_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_sqlite_store(tmp_path) as store:
        streams = EventStreams(store, Access(store, SystemClock(), SystemChance()))
        running = asyncio.create_task(streams.run())
        listener = await streams.open(DEVELOPER, "default")
        read, faults = streams.feed.read_on, iter([ZeroDivisionError()])

        async def fail_once() -> None:
            for fault in faults:
                raise fault
            await read()

        monkeypatch.setattr(streams.feed, "read_on", fail_once)
        await store.accept_events([an_event()], now_ms=NOW_MS)
        assert isinstance(await listener.next(wait_seconds=10), Arrived)
        assert "please report this" in caplog.text
        listener.close()
        streams.close()
        await running
