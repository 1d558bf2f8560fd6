"""The stream of events, over a real server: who hears what."""

import asyncio
import json

import pytest

from tests.support.problems import expect_problem
from tests.support.served import STREAM, Listening, event_ids
from tidings.operations.access import Scope


async def test_a_frame_holds_the_body_that_receivers_get(api: Listening) -> None:
    ear = await api.listen()
    await api.world.publish(eventId="evt_1", eventType="order.shipped", data={"a": "ä\u2028"})
    (frame,) = await ear.hear()
    stored = await api.world.store.get_event("default", "evt_1")
    assert (frame.event, frame.data) == ("order.shipped", stored.body)
    assert frame.last_id
    assert ear.answer.headers["content-type"] == "text/event-stream"
    assert ear.answer.headers["cache-control"] == "no-store"
    assert ear.answer.headers["x-accel-buffering"] == "no"


async def test_a_body_with_line_breaks_is_read_back_as_the_same_json(api: Listening) -> None:
    ear = await api.listen()
    body = b'{"eventId": "evt_1", "eventType": "a", "data": {\n  "a":\r\n 1,\r"b": "x"\n}}'
    answer = await api.world.client.post(
        "/events", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 202
    (frame,) = await ear.hear()
    stored = (await api.world.store.get_event("default", "evt_1")).body
    assert b"\r" in stored
    assert frame.data == stored.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


async def test_whatever_is_accepted_after_the_first_frame_is_heard_in_order(
    api: Listening,
) -> None:
    await api.world.publish(eventId="before")
    ear = await api.listen()
    for number in range(30):
        await api.world.publish(eventId=f"e{number}")
    assert event_ids(await ear.hear(30)) == [f"e{number}" for number in range(30)]


async def test_listeners_who_join_while_events_come_miss_nothing(api: Listening) -> None:
    begun: list[str] = []
    accepted: list[str] = []
    is_over = False

    async def publish() -> None:
        while not is_over:
            event_id = f"e{len(accepted)}"
            begun.append(event_id)
            await api.world.publish(eventId=event_id)
            accepted.append(event_id)

    publishing = asyncio.create_task(publish())
    client = await api.client()
    ears = [(await api.listen(client), len(begun)) for _ in range(20)]
    is_over = True
    await publishing
    await api.world.publish(eventId="last")
    accepted.append("last")
    for ear, before in ears:
        heard: list[str] = []
        while not heard or heard[-1] != accepted[-1]:
            heard += event_ids(await ear.hear())
        # One that was being published when the stream began may be heard or not.
        assert heard == accepted[-len(heard) :]
        assert len(heard) >= len(accepted) - before


async def test_patterns_select_what_is_heard(api: Listening) -> None:
    ear = await api.listen(eventType="order.*, user")
    for event_type in ("user.left", "order.shipped", "payment", "user", "order"):
        await api.world.publish(eventType=event_type)
    assert [frame.event for frame in await ear.hear(2)] == ["order.shipped", "user"]


@pytest.mark.parametrize("pattern", ["", "a..b", "*a", "a,", "tidings." * 30])
async def test_a_bad_pattern_is_refused(api: Listening, pattern: str) -> None:
    answer = await (await api.client()).get(STREAM, params={"eventType": pattern})
    expect_problem(answer, 422, "validation_failed")


# --- tenants and keys ----------------------------------------------------------------------------


async def test_a_tenant_hears_its_own_events_alone(api: Listening) -> None:
    ours = await api.listen(await api.client(tenant_id="ours"))
    theirs = await api.listen(await api.client(tenant_id="theirs"), eventType="*")
    everything = await api.listen(await api.client(tenant_id=None), tenantId="*")
    one = await api.listen(await api.client(tenant_id=None), tenantId="ours")
    for number in range(5):
        for tenant_id in ("ours", "theirs"):
            await api.world.publish(tenantId=tenant_id, eventId=f"{tenant_id}_{number}")
    for ear, tenants in ((ours, ["ours"]), (theirs, ["theirs"]), (one, ["ours"])):
        expected = [f"{tenant_id}_{number}" for number in range(5) for tenant_id in tenants]
        assert event_ids(await ear.hear(5)) == expected
    assert len(set(event_ids(await everything.hear(10)))) == 10


@pytest.mark.parametrize("tenant_id", ["theirs", "*"])
async def test_a_key_of_a_tenant_listens_to_no_other(api: Listening, tenant_id: str) -> None:
    answer = await (await api.client()).get(STREAM, params={"tenantId": tenant_id})
    expect_problem(answer, 403, "wrong_tenant")


async def test_listening_needs_its_scope(api: Listening) -> None:
    client = await api.client(Scope.EVENTS_WRITE, Scope.SUBSCRIPTIONS_READ)
    expect_problem(await client.get(STREAM), 403, "missing_scope")
    client.headers.pop("Authorization")
    expect_problem(await client.get(STREAM), 401, "unauthorized")


async def test_a_stream_ends_when_its_key_is_revoked(api: Listening) -> None:
    client = await api.client(Scope.EVENTS_READ)
    ear = await api.listen(client)
    other = await api.listen()
    newest = (await api.world.client.get("/api-keys", params={"tenantId": "default"})).json()
    for key in newest["items"][1:]:
        assert (await api.world.client.delete(f"/api-keys/{key['keyId']}")).status_code == 204
    (last,) = await ear.rest()
    assert (last.event, json.loads(last.data)["code"]) == ("error", "unauthorized")
    await api.world.publish(eventId="evt_1")
    assert event_ids(await other.hear()) == ["evt_1"]


async def test_a_stream_ends_when_its_key_expires(api: Listening) -> None:
    client = await api.client()
    expires_at_ms = api.world.clock.now_ms() + 60_000
    made = await api.world.client.post(
        "/api-keys",
        json={"name": "x", "scopes": ["events:read"], "expiresAt": _moment(expires_at_ms)},
    )
    client.headers["Authorization"] = f"Bearer {made.json()['key']}"
    ear = await api.listen(client)
    api.world.clock.ahead_ms = 61_000
    (last,) = await ear.rest()
    assert json.loads(last.data)["code"] == "unauthorized"


def _moment(at_ms: int) -> str:
    from tidings.core.timestamp import format_timestamp  # noqa: PLC0415

    return format_timestamp(at_ms)


async def test_lifecycle_events_are_heard_by_those_who_ask_for_them(api: Listening) -> None:
    all_but_ours, ours = await api.listen(), await api.listen(eventType="tidings.*")
    await api.world.subscribe()
    (frame,) = await ours.hear()
    assert frame.event == "tidings.subscription.created"
    await api.world.publish(eventId="evt_1")
    assert event_ids(await all_but_ours.hear()) == ["evt_1"]
