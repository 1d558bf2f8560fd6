"""Pages: every item once, in order; and cursors that fit one list alone."""

import base64
from typing import Any

import pytest

from tests.support.api_world import ApiWorld
from tests.support.problems import expect_problem
from tidings.api.pagination import opened_cursor, sealed_cursor
from tidings.core import limits
from tidings.core.refusals import InvalidCursor

LISTS = {
    "/webhook-subscriptions": "subscriptionId",
    "/events": "eventId",
    "/deliveries": "deliveryId",
    "/dead-letters": "deliveryId",
    "/api-keys": "keyId",
    "/tenants": "tenantId",
}


async def _fill(world: ApiWorld, count: int) -> None:
    for number in range(count):
        tenant_id = f"tenant-{number}"
        created = await world.subscribe(tenantId=tenant_id)
        for _ in range(2):
            await world.publish(tenantId=tenant_id)
        await world.finish(created["subscriptionId"])
        await world.key(tenant_id=tenant_id)


async def _read_all(world: ApiWorld, path: str, **parameters: Any) -> list[list[Any]]:
    pages: list[list[Any]] = []
    cursor = None
    while not pages or cursor is not None:
        if cursor is not None:
            parameters["cursor"] = cursor
        answer = await world.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["items"])
        cursor = answer.json()["nextCursor"]
    return pages


@pytest.mark.parametrize("path", LISTS)
async def test_pages_hold_every_item_once_and_in_order(world: ApiWorld, path: str) -> None:
    await _fill(world, 5)
    everything = {} if path == "/tenants" else {"tenantId": "*"}
    (whole,) = await _read_all(world, path, **everything)
    pages = await _read_all(world, path, limit=2, **everything)
    assert [one for page in pages for one in page] == whole
    assert {len(page) for page in pages[:-1]} == {2}
    assert pages[-1], "no page is empty but of an empty list"
    ids = [one[LISTS[path]] for one in whole]
    assert len(set(ids)) == len(ids)
    if path != "/events":
        assert ids == sorted(ids, reverse=True)


async def test_an_empty_list_is_one_empty_page(world: ApiWorld) -> None:
    for path in LISTS:
        assert await _read_all(world, path) == [[]]


async def test_what_arrives_between_pages_does_not_disturb_them(world: ApiWorld) -> None:
    for number in range(4):
        await world.publish(eventId=f"old-{number}")
    first = (await world.client.get("/events", params={"limit": 2})).json()
    await world.publish(eventId="new")
    parameters = {"limit": 2, "cursor": first["nextCursor"]}
    second = (await world.client.get("/events", params=parameters)).json()
    ids = [one["eventId"] for page in (first, second) for one in page["items"]]
    assert ids == ["old-3", "old-2", "old-1", "old-0"]


async def test_a_large_limit_counts_as_the_largest(world: ApiWorld) -> None:
    items = [{"eventType": "a", "data": {}} for _ in range(limits.PAGE_LIMIT_MAX + 1)]
    await world.client.post("/events/batch", json={"events": items})
    for limit, expected in ((None, 50), (200, 200), (201, 200), (10**30, 200)):
        parameters = {} if limit is None else {"limit": limit}
        answer = await world.client.get("/events", params=parameters)
        assert len(answer.json()["items"]) == expected
        assert answer.json()["nextCursor"]


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1.5", "9" * 5_000])
@pytest.mark.parametrize("path", LISTS)
async def test_a_limit_is_a_number_above_zero(world: ApiWorld, path: str, limit: str) -> None:
    answer = await world.client.get(path, params={"limit": limit})
    expect_problem(answer, 422, "validation_failed")


async def test_a_cursor_fits_its_list_its_tenant_and_its_filters_alone(world: ApiWorld) -> None:
    await _fill(world, 3)
    parameters: dict[str, Any] = {"tenantId": "*", "limit": 1}
    cursors = {
        path: (await world.client.get(path, params=parameters)).json()["nextCursor"]
        for path in LISTS
        if path != "/tenants"
    }
    for path in cursors:
        for other, cursor in cursors.items():
            answer = await world.client.get(path, params=parameters | {"cursor": cursor})
            if other == path:
                assert answer.status_code == 200
            else:
                expect_problem(answer, 400, "invalid_cursor")
    for changed in (
        {"tenantId": "tenant-1"},
        {"eventType": "order.*"},
        {"since": "2024-05-04T12:00:00Z"},
    ):
        wanted = parameters | {"cursor": cursors["/events"]} | changed
        expect_problem(await world.client.get("/events", params=wanted), 400, "invalid_cursor")
    longer = parameters | {"cursor": cursors["/events"], "limit": 100}
    assert (await world.client.get("/events", params=longer)).status_code == 200


@pytest.mark.parametrize("cursor", ["", "x", "ä", "%00", "AAAA" * 20, "=", "A" * 5_000, "null"])
@pytest.mark.parametrize("path", LISTS)
async def test_a_cursor_of_strangers_is_refused(world: ApiWorld, path: str, cursor: str) -> None:
    answer = await world.client.get(path, params={"cursor": cursor})
    expect_problem(answer, 400, "invalid_cursor")


def test_no_bit_of_a_cursor_may_be_changed() -> None:
    key, binding = b"k" * 32, b"list"
    cursor = sealed_cursor(key, binding, "evt_1")
    assert opened_cursor(key, binding, cursor) == "evt_1"
    sealed = base64.urlsafe_b64decode(cursor + "==")
    for place in range(len(sealed)):
        forged = bytearray(sealed)
        forged[place] ^= 1
        with pytest.raises(InvalidCursor):
            opened_cursor(key, binding, base64.urlsafe_b64encode(forged).decode().rstrip("="))
    for other_key, other_binding in ((b"l" * 32, binding), (key, b"lists"), (key, b"")):
        with pytest.raises(InvalidCursor):
            opened_cursor(other_key, other_binding, cursor)


@pytest.mark.parametrize(
    "query",
    [
        "unknown=1",
        "limit=1&limit=2",
        "%ff=1",
        "limit=%ed%a0%80",
        "limit",
        "=",
        "&".join("abcd" * 50),
    ],
)
@pytest.mark.parametrize("path", ["/events", "/webhook-subscriptions", "/health/live", "/docs"])
async def test_what_a_query_cannot_hold_is_refused(world: ApiWorld, path: str, query: str) -> None:
    answer = await world.client.get(f"{path}?{query}")
    expect_problem(answer, 422, "validation_failed")
    assert "errors" not in answer.json()


async def test_a_page_of_events_looks_at_a_bounded_number_of_them(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EVENTS_LOOKED_AT_MAX", 3)
    wanted = await world.publish(eventType="order.found")
    for _ in range(7):
        await world.publish(eventType="order.other")
    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        parameters = {"eventType": "order.found"} | ({"cursor": cursor} if cursor else {})
        answer = (await world.client.get("/events", params=parameters)).json()
        pages.append([one["eventId"] for one in answer["items"]])
        cursor = answer["nextCursor"]
    assert pages == [[], [], [wanted["eventId"]]]
