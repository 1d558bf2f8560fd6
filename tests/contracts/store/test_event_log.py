"""Following the log of events: in the order of commits, nothing twice, nothing skipped."""

import asyncio
from typing import Any

import msgspec

from tests.contracts.store.conftest import Filled
from tests.support.stores import StoreOpener
from tests.support.values import NOW_MS, TENANT, an_event
from tidings.core.event import CommittedEvent, NewEvent
from tidings.core.event_span import EventSpan
from tidings.ports.records import EventPage
from tidings.ports.store import Store


async def accepted(store: Store, *events: NewEvent, now_ms: int = NOW_MS) -> None:
    await store.accept_events(events, now_ms=now_ms)


async def page(store: Store, after_seq: int = 0, **wanted: Any) -> EventPage:
    given: dict[str, Any] = {"tenant_id": TENANT, "patterns": "*", "limit": 100}
    return await store.read_events_after(after_seq, **{**given, "bytes_max": 1_000_000, **wanted})


def types(events: list[CommittedEvent]) -> list[str]:
    return [one.event_type for one in events]


async def test_events_come_oldest_first_with_the_body_that_receivers_get(store: Store) -> None:
    first, second = an_event("a", data=b'{"n": 1.0}'), an_event("b")
    await accepted(store, first, second)
    found = await page(store)
    assert types(found.events) == ["a", "b"]
    assert [one.body for one in found.events] == [first.body, second.body]
    assert [one.tenant_id for one in found.events] == [TENANT, TENANT]
    assert found.events[0].seq < found.events[1].seq <= found.through_seq
    assert found.is_last
    assert (await page(store, found.through_seq)).events == []
    assert types((await page(store, found.events[0].seq)).events) == ["b"]


async def test_one_tenant_is_told_of_its_own_events_alone(store: Store) -> None:
    await accepted(store, an_event("a"), an_event("b", tenant_id="other"))
    assert types((await page(store)).events) == ["a"]
    assert types((await page(store, tenant_id="other")).events) == ["b"]
    assert types((await page(store, tenant_id=None)).events) == ["a", "b"]
    assert (await page(store, tenant_id="nobody")).events == []


async def test_patterns_select_and_the_place_moves_on_all_the_same(store: Store) -> None:
    await accepted(store, *(an_event(one) for one in ("a.b", "c", "a.d", "c", "c")))
    found = await page(store, patterns="a.*", limit=3)
    assert types(found.events) == ["a.b", "a.d"]
    assert not found.is_last
    rest = await page(store, found.through_seq, patterns="a.*", limit=3)
    assert (rest.events, rest.is_last) == ([], True)
    assert rest.through_seq == rest.span.newest_seq


async def test_a_page_ends_when_it_is_large_but_is_never_empty(store: Store) -> None:
    await accepted(store, *(an_event(one, data=b'{"x":"%b"}' % (b"y" * 500)) for one in "abcd"))
    found = await page(store, bytes_max=1_000)
    assert types(found.events) == ["a", "b"]
    assert not found.is_last
    found = await page(store, found.through_seq, bytes_max=1)
    assert types(found.events) == ["c"]


async def test_erased_data_is_left_out(store: Store) -> None:
    await accepted(store, an_event("a", event_id="evt_a"), an_event("b"))
    await store.erase_event_data(TENANT, "evt_a", now_ms=NOW_MS)
    assert types((await page(store)).events) == ["b"]


async def test_what_is_committed_after_the_span_was_read_lies_behind_it(store: Store) -> None:
    assert await store.read_event_span() == EventSpan(0, 0)
    for number in range(20):
        span = await store.read_event_span()
        await accepted(store, an_event(f"e{number}"), now_ms=NOW_MS - number)
        assert types((await page(store, span.newest_seq)).events) == [f"e{number}"]


async def test_deletion_for_age_raises_the_lower_end_and_nothing_else_does(
    filled: Filled, opener: StoreOpener, tmp_path: Any
) -> None:
    store = filled.store
    await filled.subscribe("kept")
    for place, name in enumerate(("old", "kept", "older", "new")):
        await accepted(store, an_event(name, event_id=f"evt_{name}"), now_ms=NOW_MS + place)
    await store.erase_event_data(TENANT, "evt_new", now_ms=NOW_MS)
    assert (await store.read_event_span()).deleted_seq == 0
    events = (await page(store)).events
    assert await store.delete_expired(accepted_before_ms=NOW_MS + 3, limit=9) >= 2
    span = await store.read_event_span()
    # The one with an unfinished delivery stays, but others behind it are gone.
    assert span.deleted_seq == events[2].seq
    assert types((await page(store)).events) == ["kept"]
    assert (await page(store)).span == span
    await store.delete_expired(accepted_before_ms=NOW_MS + 3, limit=9)
    assert await store.read_event_span() == span


async def test_the_ends_of_the_log_outlive_the_process(opener: StoreOpener, tmp_path: Any) -> None:
    async with opener(tmp_path) as store:
        await accepted(store, an_event("a"))
        await store.delete_expired(accepted_before_ms=NOW_MS + 1, limit=9)
        span = await store.read_event_span()
    async with opener(tmp_path) as store:
        assert await store.read_event_span() == span
        assert span.deleted_seq > 0


async def test_a_follower_beside_many_writers_misses_nothing(filled: Filled) -> None:
    store = filled.store
    await filled.subscribe()
    seen: list[str] = []
    is_over = False

    async def follow() -> None:
        place = 0
        while True:
            was_over = is_over
            found = await page(store, place, tenant_id=None, limit=7)
            seen.extend(types(found.events))
            place = found.through_seq
            if was_over and found.is_last:
                return

    following = asyncio.create_task(follow())
    await asyncio.gather(
        *(accepted(store, an_event(f"e{n}"), now_ms=NOW_MS - n % 5) for n in range(200))
    )
    is_over = True
    await following
    assert sorted(seen) == sorted(f"e{number}" for number in range(200))


async def test_a_commit_tells_of_new_events_also_when_nobody_subscribed(filled: Filled) -> None:
    await filled.publish()
    (event,) = (await page(filled.store)).events
    assert [one.newest_event_seq for one in filled.told] == [event.seq]
    await filled.store.accept_events([an_event(event_id="evt_x")], now_ms=NOW_MS)
    await filled.store.accept_events([an_event(event_id="evt_x")], now_ms=NOW_MS)
    assert len(filled.told) == 2, "a repeat is no new event"


async def test_a_commit_tells_when_bodies_were_erased(filled: Filled) -> None:
    await filled.publish(event_id="evt_1")
    await filled.store.erase_event_data(TENANT, "evt_1", now_ms=NOW_MS)
    await filled.publish()
    await filled.store.erase_tenant(TENANT, now_ms=NOW_MS, limit=1_000)
    assert [one.has_erased for one in filled.told] == [False, True, False, True]


async def test_lifecycle_events_are_in_the_log_for_who_names_them(filled: Filled) -> None:
    await filled.subscribe()
    assert (await page(filled.store)).events == []
    found = types((await page(filled.store, patterns="tidings.*")).events)
    assert found
    assert {one.split(".")[0] for one in found} == {"tidings"}
    assert filled.told[-1].newest_event_seq > 0


async def test_how_far_an_event_has_travelled_comes_with_it(store: Store) -> None:
    await accepted(store, msgspec.structs.replace(an_event("a"), hops=3), an_event("b"))
    assert [one.hops for one in (await page(store)).events] == [3, 0]
