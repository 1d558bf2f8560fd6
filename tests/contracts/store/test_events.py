"""Accepting events: once each, in order, with a delivery for everybody who wants it."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from tests.contracts.store.conftest import Filled
from tests.support.values import NOW_MS, TENANT, an_event
from tidings.core.content_filter import FilterOutcome
from tidings.core.delivery import DeliveryStatus
from tidings.core.event import Accepted, Conflicting
from tidings.core.limits import COMMIT_DELIVERIES_MAX
from tidings.core.refusals import NotFound
from tidings.ports.records import EventFilter
from tidings.ports.store import Store


async def test_an_event_reaches_everybody_who_wants_it_and_nobody_else(filled: Filled) -> None:
    wanting = [await filled.subscribe("order.*"), await filled.subscribe("*")]
    await filled.subscribe("payment.*")
    await filled.subscribe("*", tenant_id="other")
    rows = await filled.publish(event_type="order.shipped")
    assert {row.subscription_id for row in rows} == {one.subscription_id for one in wanting}


async def test_a_filter_decides_by_the_data_and_what_it_said_is_told(filled: Filled) -> None:
    wanting = await filled.subscribe(content_filter='{"total": {"$gte": 100}}')
    await filled.subscribe(content_filter='{"total": 5}')
    await filled.subscribe("payment.*", content_filter='{"total": 100}')
    (row,) = await filled.publish(data=b'{"total": 1e2}')
    assert row.subscription_id == wanting.subscription_id
    assert await filled.publish(data=b'{"total": "100"}') == []
    assert [told.filter_outcomes for told in filled.told[-2:]] == [
        {FilterOutcome.MATCH: 1, FilterOutcome.NO_MATCH: 1},
        {FilterOutcome.TYPE_MISMATCH: 1, FilterOutcome.NO_MATCH: 1},
    ]


async def test_another_filter_concerns_later_events(filled: Filled) -> None:
    subscription = await filled.subscribe(content_filter='{"n": 1}')
    assert len(await filled.publish(data=b'{"n": 1}')) == 1
    subscription_id = subscription.subscription_id
    for wanted, expected in (('{"n": 2}', 0), (None, 1)):
        change = partial(replace, content_filter=wanted)
        await filled.store.change_subscription(TENANT, subscription_id, change)
        assert len(await filled.publish(data=b'{"n": 1}')) == expected


async def test_costly_filters_take_only_a_part_of_the_batch(filled: Filled) -> None:
    for number in range(10):
        await filled.subscribe(content_filter=f'{{"n": {number + 2}}}')
    events = [an_event(data=b'{"n": [' + b"1," * 3_000 + b"1]}") for _ in range(10)]
    answered = await filled.store.accept_events(events, now_ms=NOW_MS)
    assert 1 <= len(answered) < 10


async def test_repeats_are_answered_like_the_first_and_make_nothing(filled: Filled) -> None:
    await filled.subscribe()
    event = an_event(event_id="evt_same")
    first, twin = await filled.store.accept_events([event, event], now_ms=NOW_MS)
    (later,) = await filled.store.accept_events([event], now_ms=NOW_MS + 5)
    expected = Accepted("evt_same", event.event_type, event.occurred_at, 1)
    assert first == expected
    assert (
        twin
        == later
        == Accepted("evt_same", event.event_type, event.occurred_at, 1, is_repeat=True)
    )
    assert len(await filled.listed()) == 1


async def test_other_content_under_the_same_id_conflicts(store: Store) -> None:
    await store.accept_events([an_event(event_id="evt_same")], now_ms=NOW_MS)
    other = an_event(event_id="evt_same", data=b'{"other":1}')
    assert await store.accept_events([other], now_ms=NOW_MS) == [Conflicting("evt_same")]
    elsewhere = an_event(event_id="evt_same", data=b'{"other":1}', tenant_id="other")
    (accepted,) = await store.accept_events([elsewhere], now_ms=NOW_MS)
    assert isinstance(accepted, Accepted)


async def test_an_idempotency_key_stands_for_the_id_that_it_made(store: Store) -> None:
    keyed = an_event(event_id="evt_made", event_key="key:abc")
    await store.accept_events([keyed], now_ms=NOW_MS)
    again = an_event(event_id="evt_never", event_key="key:abc")
    (answer,) = await store.accept_events([again], now_ms=NOW_MS)
    assert isinstance(answer, Accepted)
    assert (answer.event_id, answer.is_repeat) == ("evt_made", True)
    (by_id,) = await store.accept_events([an_event(event_id="evt_made")], now_ms=NOW_MS)
    assert isinstance(by_id, Accepted)
    assert by_id.is_repeat
    with pytest.raises(NotFound):
        await store.get_event(TENANT, "key:abc")


async def test_a_large_fan_out_takes_only_a_part_of_the_batch(filled: Filled) -> None:
    for _ in range(30):
        await filled.subscribe()
    events = [an_event() for _ in range(100)]
    answered = await filled.store.accept_events(events, now_ms=NOW_MS)
    assert 1 <= len(answered) < 100
    assert len(answered) * 30 < COMMIT_DELIVERIES_MAX + 31


async def test_concurrent_publishes_are_told_in_the_order_of_seq(filled: Filled) -> None:
    await filled.subscribe()
    await asyncio.gather(
        *(filled.store.accept_events([an_event()], now_ms=NOW_MS - n) for n in range(50))
    )
    seqs = [row.seq for changes in filled.told for row in changes.arrived]
    assert len(seqs) == 50
    assert seqs == sorted(seqs)


async def test_an_event_accepted_after_a_subscription_reaches_it(filled: Filled) -> None:
    for _ in range(20):
        made = await filled.subscribe("only.this")
        rows = await filled.publish(event_type="only.this")
        assert made.subscription_id in {row.subscription_id for row in rows}


async def test_an_ordering_key_counts_only_where_it_was_asked_for(filled: Filled) -> None:
    ordered = await filled.subscribe(ordering_enabled=True)
    await filled.subscribe()
    rows = await filled.publish(ordering_key="k")
    keys = {row.subscription_id == ordered.subscription_id: row.ordering_key for row in rows}
    assert keys == {True: "k", False: None}


async def test_bodies_come_along_and_can_be_read_back(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish(event_id="evt_1", data=b'{"a": 1.0}')
    bodies = await filled.store.read_bodies([row.event_seq, 12345])
    assert list(bodies) == [row.event_seq]
    assert filled.told[-1].bodies == bodies
    event = await filled.store.get_event(TENANT, "evt_1")
    assert event.data == b'{"a": 1.0}'
    assert bodies[row.event_seq].body == event.body


async def test_events_are_listed_newest_first_by_pattern_and_time(filled: Filled) -> None:
    for number, event_type in enumerate(("a.b", "a.c", "d")):
        event = an_event(event_type, event_id=f"evt_{event_type}")
        await filled.store.accept_events([event], now_ms=NOW_MS + number)

    async def ids(before: int | None = None, **filters: object) -> list[str]:
        wanted = EventFilter(TENANT, **filters)  # type: ignore[arg-type]
        found = await filled.store.list_events(wanted, before=before, limit=10)
        return [one.event_id for one in found]

    assert await ids() == ["evt_d", "evt_a.c", "evt_a.b"]
    assert await ids(patterns="a.*") == ["evt_a.c", "evt_a.b"]
    assert await ids(since_ms=NOW_MS + 1, until_ms=NOW_MS + 2) == ["evt_a.c"]
    newest = (await filled.store.list_events(EventFilter(TENANT), before=None, limit=1))[0]
    assert await ids(before=newest.seq) == ["evt_a.c", "evt_a.b"]


async def test_erased_data_is_gone_and_what_waits_is_cancelled(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish(event_id="evt_1")
    await filled.store.erase_event_data(TENANT, "evt_1", now_ms=NOW_MS)
    assert (await filled.store.get_event(TENANT, "evt_1")).data is None
    assert await filled.store.read_bodies([row.event_seq]) == {}
    (listed,) = await filled.listed()
    assert listed.status is DeliveryStatus.CANCELLED
    assert filled.told[-1].ended == [row]
