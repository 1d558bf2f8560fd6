"""Going on where a stream ended: nothing twice, nothing skipped, and gaps that are told."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.problems import expect_problem
from tests.support.served import STREAM, Listening, event_ids
from tidings.core import limits
from tidings.storage.sqlite.connection import connect


async def test_a_client_goes_on_behind_any_frame_it_got(api: Listening) -> None:
    client = await api.client()
    ear = await api.listen(client)
    places = [ear.reader.last_id]
    for number in range(12):
        await api.world.publish(eventId=f"e{number}")
    places += [frame.last_id for frame in await ear.hear(12)]
    for begun, place in enumerate(places):
        again = await api.listen(client, place)
        await api.world.publish(eventId=f"later{begun}")
        rest = [f"e{n}" for n in range(begun, 12)] + [f"later{n}" for n in range(begun + 1)]
        assert event_ids(await again.hear(len(rest))) == rest


async def test_a_quiet_stream_moves_its_place_on(api: Listening) -> None:
    client = await api.client()
    ear = await api.listen(client, eventType="never")
    first = ear.reader.last_id
    for _ in range(3):
        await api.world.publish(tenantId="default")
    while ear.reader.last_id == first:
        await ear.until(b": nothing new\n")
        ear.text = b""
    again = await api.listen(client, ear.reader.last_id)
    await api.world.publish(eventId="evt_1")
    assert event_ids(await again.hear()) == ["evt_1"]


async def test_many_events_are_read_from_the_store_by_whoever_comes_back(api: Listening) -> None:
    client = await api.client()
    place = (await api.listen(client)).reader.last_id
    count = limits.STREAM_RECENT_EVENTS_MAX + limits.STREAM_PAGE_ROWS_MAX + 50
    batch: list[Any] = [
        {"eventType": "a.b" if number % 3 else "c", "data": {}, "eventId": f"e{number}"}
        for number in range(count)
    ]
    answer = await api.world.client.post("/events/batch", json={"events": batch})
    assert answer.status_code == 202
    again = await api.listen(client, place, eventType="a.b")
    await api.world.publish(eventType="a.b", eventId="last")
    expected = [f"e{number}" for number in range(count) if number % 3] + ["last"]
    assert event_ids(await again.hear(len(expected))) == expected


@pytest.mark.parametrize("last_id", ["x", "0", "1760000000000", "A" * 60, "é", "=", "null", "-1"])
async def test_a_place_of_strangers_is_refused(api: Listening, last_id: str) -> None:
    client = await api.client()
    answer = await client.get(STREAM, headers={b"Last-Event-ID": last_id.encode()})
    expect_problem(answer, 400, "invalid_cursor")


async def test_a_place_of_another_tenant_is_refused(api: Listening) -> None:
    place = (await api.listen(await api.client(tenant_id="ours"))).reader.last_id
    for tenant_id, query in (("theirs", {}), (None, {"tenantId": "*"}), (None, {})):
        client = await api.client(tenant_id=tenant_id)
        answer = await client.get(STREAM, params=query, headers={"Last-Event-ID": place})
        expect_problem(answer, 400, "invalid_cursor")
    everywhere = await api.listen(await api.client(tenant_id=None), place, tenantId="ours")
    assert everywhere.reader.last_id == place


async def test_a_place_tells_nothing_to_its_holder(api: Listening) -> None:
    ear = await api.listen()
    await api.world.publish()
    await api.world.publish()
    first, second = await ear.hear(2)
    assert first.last_id[:8] != second.last_id[:8]
    assert len({first.last_id[place] for place in range(20)}) > 5


async def test_an_empty_place_is_none(api: Listening) -> None:
    ear = await api.listen(None, "")
    await api.world.publish(eventId="evt_1")
    assert event_ids(await ear.hear()) == ["evt_1"]


# --- gaps ----------------------------------------------------------------------------------------


async def test_events_that_are_kept_no_longer_are_told_as_a_gap(api: Listening) -> None:
    client = await api.client()
    place = (await api.listen(client)).reader.last_id
    for number in range(3):
        await api.world.publish(eventId=f"old{number}")
    after_ms = api.world.clock.now_ms() + 1
    api.world.clock.ahead_ms = 60_000
    await api.world.publish(eventId="new")
    assert await api.world.store.delete_expired(accepted_before_ms=after_ms, limit=99) == 3
    ear = await api.listen(client, place)
    gap, event = await ear.hear(2)
    assert gap.event == "gap"
    told = json.loads(gap.data)
    assert set(told) == {"since", "until", "detail"}
    assert told["since"] < told["until"]
    assert event_ids([event]) == ["new"]
    # Whoever goes on behind the gap is not told of it again.
    again = await api.listen(client, gap.last_id)
    assert event_ids(await again.hear()) == ["new"]


async def test_there_is_no_gap_where_nothing_is_missing(api: Listening) -> None:
    client = await api.client()
    ear = await api.listen(client)
    await api.world.publish(eventId="old")
    (old,) = await ear.hear()
    later_ms = api.world.clock.now_ms() + 1
    assert await api.world.store.delete_expired(accepted_before_ms=later_ms, limit=99) == 1
    again = await api.listen(client, old.last_id)
    await api.world.publish(eventId="new")
    assert event_ids(await again.hear()) == ["new"]


async def test_a_database_that_was_put_back_is_told_as_a_gap(
    api: Listening, tmp_path: Path
) -> None:
    client = await api.client()
    await api.world.publish()
    place = (await api.listen(client)).reader.last_id
    db = connect(tmp_path / "tidings.db")
    db.execute("DELETE FROM event; UPDATE configuration SET last_seq = 1")
    db.close()
    ear = await api.listen(client, place)
    (gap,) = await ear.hear()
    assert gap.event == "gap"
    await api.world.publish(eventId="new")
    assert event_ids(await ear.hear()) == ["new"]


async def test_erased_events_are_left_out_and_are_no_gap(api: Listening) -> None:
    client = await api.client()
    ear = await api.listen(client)
    place = ear.reader.last_id
    for event_id in ("evt_1", "evt_2"):
        await api.world.publish(eventId=event_id)
    assert event_ids(await ear.hear(2)) == ["evt_1", "evt_2"], "so they are held for others"
    assert (await api.world.client.delete("/events/evt_1/data")).status_code == 204
    assert event_ids(await (await api.listen(client, place)).hear()) == ["evt_2"]
