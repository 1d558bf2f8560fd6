"""The catalogue over HTTP: described, listed, changed with care, checked, never told to others."""

from typing import Any

import pytest

from tests.support.api_world import EVENT, ApiWorld
from tests.support.problems import expect_problem
from tidings.core import limits
from tidings.core.catalogue import CheckOutcome

PATH = "/event-types/order.shipped"
SCHEMA = {
    "type": "object",
    "required": ["orderId"],
    "properties": {"orderId": {"type": "string"}, "n": {"type": "integer"}},
}
FULL: dict[str, Any] = {
    "description": "An order left the house — ünïcode.",
    "schema": SCHEMA,
    "example": {"orderId": "or_12345"},
    "validation": "enforce",
    "deprecated": True,
}
DEFAULTS = {
    "description": None,
    "schema": None,
    "example": None,
    "validation": "off",
    "deprecated": False,
}


async def _put(world: ApiWorld, path: str = PATH, **members: Any) -> Any:
    answer = await world.client.put(path, json=members)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def test_what_is_said_comes_back_as_it_was_said(world: ApiWorld) -> None:
    answer = await world.client.put(PATH, json=FULL)
    assert answer.status_code == 201
    put = answer.json()
    shown = (await world.client.get(PATH)).json()
    versions = shown.pop("versions")
    assert put == shown
    assert shown == FULL | {
        "eventType": "order.shipped",
        "tenantId": "default",
        "version": 1,
        "createdAt": shown["createdAt"],
        "updatedAt": shown["createdAt"],
    }
    assert versions == [{"version": 1, "schema": SCHEMA, "createdAt": shown["createdAt"]}]
    assert (await world.client.get("/event-types")).json()["items"] == [put]


async def test_a_schema_keeps_its_spelling(world: ApiWorld) -> None:
    schema = '{"type":"object",  "properties":{"n":{"maximum":1.50}}}'
    headers = {"Content-Type": "application/json"}
    await world.client.put(PATH, content=f'{{"schema":{schema}}}', headers=headers)
    assert schema in (await world.client.get(PATH)).text


async def test_what_is_left_out_or_null_gets_its_default(world: ApiWorld) -> None:
    for body in ({}, dict.fromkeys(DEFAULTS)):
        await _put(world, **FULL)
        answer = await world.client.put(PATH, params={"force": "true"}, json=body)
        assert answer.status_code == 200
        assert answer.json() == answer.json() | DEFAULTS


async def test_a_deleted_event_type_is_gone(world: ApiWorld) -> None:
    await _put(world, **FULL)
    assert (await world.client.delete(PATH)).status_code == 204
    for method in ("GET", "DELETE"):
        expect_problem(await world.client.request(method, PATH), 404, "not_found")
    assert (await world.client.get("/event-types")).json()["items"] == []
    await world.publish(data={"anything": "goes"})


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"schema": 5}, "/schema"),
        ({"schema": True}, "/schema"),
        ({"schema": {"type": "nope"}}, "/schema/type"),
        ({"schema": {"properties": {"a": {"$ref": "https://example.com/"}}}},
         "/schema/properties/a/$ref"),
        ({"schema": {"properties": {"a": {"pattern": "(?=a)"}}}}, "/schema/properties/a/pattern"),
        ({"example": 5}, "/example"),
        ({"schema": SCHEMA, "example": {"orderId": 5}}, "/example/orderId"),
        ({"validation": "enforce"}, "/validation"),
        ({"validation": "maybe"}, "/validation"),
        ({"deprecated": "yes"}, "/deprecated"),
        ({"description": "x" * (limits.DESCRIPTION_LENGTH_MAX + 1)}, "/description"),
        ({"version": 5}, "/version"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_pointed_at(
    world: ApiWorld, body: dict[str, Any], pointer: str
) -> None:
    problem = expect_problem(await world.client.put(PATH, json=body), 422, "validation_failed")
    assert [one["pointer"] for one in problem["errors"]] == [pointer]
    expect_problem(await world.client.get(PATH), 404, "not_found")


@pytest.mark.parametrize("name", ["tidings.x", "a..b", "a*", "ü", "a" * 129])
async def test_only_what_can_be_published_can_be_described(world: ApiWorld, name: str) -> None:
    answer = await world.client.put(f"/event-types/{name}", json={})
    expect_problem(answer, 422, "validation_failed")
    expect_problem(await world.client.get(f"/event-types/{name}"), 404, "not_found")


async def test_a_schema_that_breaks_publishers_has_to_be_forced(world: ApiWorld) -> None:
    await _put(world, **FULL)
    stricter = FULL | {"schema": SCHEMA | {"required": ["orderId", "n"]}, "example": None}
    problem = expect_problem(await world.client.put(PATH, json=stricter), 409, "invalid_state")
    assert [one["pointer"] for one in problem["errors"]] == ["/schema/required"]
    assert (await world.client.get(PATH)).json()["schema"] == SCHEMA
    answer = await world.client.put(PATH, params={"force": "true"}, json=stricter)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    history = (await world.client.get(PATH)).json()["versions"]
    assert [one["version"] for one in history] == [2, 1]
    assert [one["schema"] for one in history] == [stricter["schema"], SCHEMA]
    expect_problem(await world.client.put(PATH, params={"more": "1"}, json={}), 422,
                   "validation_failed")  # fmt: skip


async def test_a_bounded_number_of_versions_is_kept(world: ApiWorld) -> None:
    for number in range(limits.EVENT_TYPE_VERSIONS_MAX + 5):
        await _put(world, schema={"properties": {f"p{n}": {} for n in range(number)}})
    shown = (await world.client.get(PATH)).json()
    assert len(shown["versions"]) == limits.EVENT_TYPE_VERSIONS_MAX
    assert shown["versions"][0]["version"] == shown["version"]


async def test_a_tenant_may_describe_only_so_many(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EVENT_TYPES_MAX", 1)
    await _put(world)
    expect_problem(await world.client.put("/event-types/other", json={}), 429, "quota_exceeded")
    await _put(world, description="again")


async def test_data_that_do_not_fit_are_refused_where_that_is_enforced(world: ApiWorld) -> None:
    await _put(world, schema=SCHEMA, validation="enforce")
    bad = EVENT | {"data": {"orderId": 5, "n": 1.5}}
    problem = expect_problem(await world.client.post("/events", json=bad), 422, "validation_failed")
    assert {one["pointer"] for one in problem["errors"]} == {"/data/orderId", "/data/n"}
    good = EVENT | {"data": {"orderId": "or_1"}}
    other = bad | {"eventType": "order.other"}
    batch = await world.client.post("/events/batch", json={"events": [bad, good, other]})
    assert [one["status"] for one in batch.json()["items"]] == [422, 202, 202]
    assert world.checks == {CheckOutcome.REFUSED: 2, CheckOutcome.VALID: 1}
    assert len((await world.client.get("/events")).json()["items"]) == 2


async def test_a_repeat_is_answered_like_the_first_whatever_is_enforced_by_then(
    world: ApiWorld,
) -> None:
    first = await world.publish(eventId="evt_1", data={"orderId": 5})
    await _put(world, schema=SCHEMA, validation="enforce")
    assert await world.publish(eventId="evt_1", data={"orderId": 5}) == first
    answer = await world.client.post("/events", json=EVENT | {"eventId": "evt_2", "data": {}})
    expect_problem(answer, 422, "validation_failed")


async def test_with_a_warning_the_event_goes_through(
    world: ApiWorld, caplog: pytest.LogCaptureFixture
) -> None:
    await _put(world, schema=SCHEMA, validation="warn")
    await world.publish(data={"orderId": {"secret": "value"}})
    assert world.checks == {CheckOutcome.INVALID: 1}
    (line,) = caplog.records
    told = vars(line)
    assert (told["levelname"], told["pointer"]) == ("WARNING", "/data/orderId")
    assert "value" not in line.getMessage().replace("the value", "")


async def test_without_validation_nothing_is_checked(world: ApiWorld) -> None:
    await _put(world, schema=SCHEMA)
    await world.publish(data={})
    assert world.checks == {}


async def test_what_one_tenant_says_concerns_no_other(world: ApiWorld) -> None:
    acme = {"tenantId": "acme"}
    await world.client.put(PATH, params=acme, json=FULL)
    expect_problem(await world.client.get(PATH), 404, "not_found")
    assert (await world.client.get("/event-types")).json()["items"] == []
    await world.publish(data={"orderId": 5})
    answer = await world.client.post("/events", json=EVENT | acme | {"data": {}})
    expect_problem(answer, 422, "validation_failed")
    own = world.caller(await world.key("admin", tenant_id="acme"))
    assert (await own.get(PATH)).json()["tenantId"] == "acme"
    other = world.caller(await world.key("admin", tenant_id="other"))
    expect_problem(await other.get(PATH), 404, "not_found")
    expect_problem(await other.put(PATH, params=acme, json={}), 403, "wrong_tenant")
    everything = await world.client.get("/event-types", params={"tenantId": "*"})
    assert [one["tenantId"] for one in everything.json()["items"]] == ["acme"]


async def test_an_erased_tenant_leaves_no_word_of_its_event_types(world: ApiWorld) -> None:
    await world.client.put(PATH, params={"tenantId": "acme"}, json=FULL)
    assert (await world.client.delete("/tenants/acme")).status_code == 204
    answer = await world.client.get("/event-types", params={"tenantId": "*"})
    assert answer.json()["items"] == []
    await world.publish(tenantId="acme", data={})


async def test_a_list_goes_on_behind_its_cursor(world: ApiWorld) -> None:
    for number in range(5):
        world.clock.ahead_ms += number % 2
        await _put(world, f"/event-types/type.{number}")
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = (await world.client.get("/event-types", params={"limit": 2} | cursor)).json()
        found += [one["eventType"] for one in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert found == [f"type.{number}" for number in (4, 3, 2, 1, 0)]


async def test_what_is_checked_survives_a_restart(world: ApiWorld) -> None:
    await _put(world, schema=SCHEMA, validation="enforce")
    world.catalogue._checked.clear()
    await world.catalogue.load()
    answer = await world.client.post("/events", json=EVENT | {"data": {}})
    expect_problem(answer, 422, "validation_failed")
