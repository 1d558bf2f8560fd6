"""Tenants: nobody sees or touches what belongs to another, and finds out nothing by trying."""

from typing import Any

import httpx2
import pytest

from tests.support.api_world import EVENT, WISH, ApiWorld
from tests.support.problems import expect_problem


class Acme:
    """A tenant with one thing of each kind, and the clients of others."""

    def __init__(self, ids: dict[str, str], other: httpx2.AsyncClient) -> None:
        self.ids = ids
        self.other = other


async def _acme(world: ApiWorld) -> Acme:
    admin = world.caller(await world.key())
    wish = WISH | {"tenantId": "acme"}
    subscription = (await admin.post("/webhook-subscriptions", json=wish)).json()
    await admin.post("/events", json=EVENT | {"tenantId": "acme", "eventId": "dead"})
    await world.finish(subscription["subscriptionId"])
    await admin.post("/events", json=EVENT | {"tenantId": "acme", "eventId": "alive"})
    listed = await admin.get("/deliveries", params={"tenantId": "acme"})
    deliveries = {one["eventId"]: one["deliveryId"] for one in listed.json()["items"]}
    replay = (await admin.post("/dead-letters/replay", json={"tenantId": "acme"})).json()
    body = {"name": "x", "scopes": ["admin"], "tenantId": "acme"}
    key = (await admin.post("/api-keys", json=body)).json()
    ids = {
        "subscription": subscription["subscriptionId"],
        "event": "alive",
        "delivery": deliveries["alive"],
        "dead_letter": deliveries["dead"],
        "replay": replay["replayId"],
        "key": key["keyId"],
        "tenant": "acme",
    }
    return Acme(ids, world.caller(await world.key(tenant_id="other")))


FOREIGN: list[tuple[str, str, Any]] = [
    ("GET", "/webhook-subscriptions/{subscription}", None),
    ("PATCH", "/webhook-subscriptions/{subscription}", {"description": "mine"}),
    ("DELETE", "/webhook-subscriptions/{subscription}", None),
    ("GET", "/webhook-subscriptions/{subscription}/secret", None),
    ("POST", "/webhook-subscriptions/{subscription}/rotate-secret", {}),
    ("POST", "/webhook-subscriptions/{subscription}/test", {}),
    ("POST", "/webhook-subscriptions/{subscription}/pause", None),
    ("POST", "/webhook-subscriptions/{subscription}/resume", None),
    ("POST", "/webhook-subscriptions/{subscription}/disable", None),
    ("POST", "/webhook-subscriptions/{subscription}/replay", {}),
    ("GET", "/webhook-subscriptions/{subscription}/deliveries", None),
    ("GET", "/events/{event}", None),
    ("GET", "/events/{event}/deliveries", None),
    ("POST", "/events/{event}/replay", {}),
    ("DELETE", "/events/{event}/data", None),
    ("GET", "/deliveries/{delivery}", None),
    ("POST", "/deliveries/{delivery}/retry", None),
    ("POST", "/deliveries/{delivery}/cancel", None),
    ("POST", "/dead-letters/{dead_letter}/replay", None),
    ("DELETE", "/dead-letters/{dead_letter}", None),
    ("POST", "/dead-letters/replay", {"subscriptionId": "{subscription}"}),
    ("GET", "/replays/{replay}", None),
    ("DELETE", "/api-keys/{key}", None),
    ("DELETE", "/tenants/{tenant}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), FOREIGN)
async def test_what_belongs_to_another_tenant_is_as_if_it_were_not_there(
    guarded: ApiWorld, method: str, path: str, body: Any
) -> None:
    acme = await _acme(guarded)
    unknown = dict.fromkeys(acme.ids, "unknown")

    async def answered(ids: dict[str, str]) -> httpx2.Response:
        named = {name: value.format(**ids) for name, value in (body or {}).items()}
        options: Any = {} if body is None else {"json": named}
        return await acme.other.request(method, path.format(**ids), **options)

    foreign, missing = await answered(acme.ids), await answered(unknown)
    expect_problem(foreign, 404, "not_found")
    assert missing.content == foreign.content
    assert missing.headers == foreign.headers


async def test_nothing_of_another_tenant_was_changed_by_trying(guarded: ApiWorld) -> None:
    acme = await _acme(guarded)
    admin = guarded.caller(await guarded.key())
    path = f"/webhook-subscriptions/{acme.ids['subscription']}?tenantId=acme"
    before = (await admin.get(path)).content
    for method, target, body in FOREIGN:
        options: Any = {} if body is None else {"json": {}}
        await acme.other.request(method, target.format(**acme.ids), **options)
    assert (await admin.get(path)).content == before
    listed = await admin.get("/deliveries", params={"tenantId": "acme"})
    assert {one["status"] for one in listed.json()["items"]} == {"pending", "dead_lettered"}
    keys = await admin.get("/api-keys", params={"tenantId": "acme"})
    assert [one["keyId"] for one in keys.json()["items"]] == [acme.ids["key"]]


@pytest.mark.parametrize(
    "path",
    ["/webhook-subscriptions", "/events", "/deliveries", "/dead-letters", "/api-keys", "/tenants"],
)
async def test_lists_hold_what_is_the_callers_own(guarded: ApiWorld, path: str) -> None:
    acme = await _acme(guarded)
    own = [one.get("tenantId") for one in (await acme.other.get(path)).json()["items"]]
    assert set(own) <= {"other"}
    if path == "/tenants":
        return
    for named in ("acme", "*"):
        answer = await acme.other.get(path, params={"tenantId": named})
        expect_problem(answer, 403, "wrong_tenant")
    admin = guarded.caller(await guarded.key())
    items = (await admin.get(path, params={"tenantId": "*"})).json()["items"]
    assert "acme" in {one["tenantId"] for one in items}
    items = (await admin.get(path, params={"tenantId": "acme"})).json()["items"]
    assert {one["tenantId"] for one in items} == {"acme"}


async def test_filters_reach_no_other_tenant(guarded: ApiWorld) -> None:
    acme = await _acme(guarded)
    for parameters in (
        {"eventId": acme.ids["event"]},
        {"subscriptionId": acme.ids["subscription"]},
    ):
        for path in ("/deliveries", "/dead-letters"):
            answer = await acme.other.get(path, params=parameters)
            assert answer.json()["items"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/events", EVENT),
        ("/webhook-subscriptions", WISH),
        ("/api-keys", {"name": "x", "scopes": ["events:read"]}),
        ("/dead-letters/replay", {}),
    ],
)
async def test_the_key_of_a_tenant_cannot_name_another(
    guarded: ApiWorld, path: str, body: Any
) -> None:
    client = guarded.caller(await guarded.key(tenant_id="other"))
    answer = await client.post(path, json=body | {"tenantId": "acme"})
    expect_problem(answer, 403, "wrong_tenant")
    own = await client.post(path, json=body | {"tenantId": "other"})
    assert own.status_code in (201, 202)
    if path == "/events":
        items = [EVENT | {"tenantId": "acme"}, EVENT]
        many = await client.post("/events/batch", json={"events": items})
        assert [one["status"] for one in many.json()["items"]] == [403, 202]


async def test_the_key_of_a_tenant_means_that_tenant(guarded: ApiWorld) -> None:
    client = guarded.caller(await guarded.key(tenant_id="other"))
    created = await client.post("/webhook-subscriptions", json=WISH)
    assert created.json()["tenantId"] == "other"
    published = await client.post("/events", json=EVENT)
    assert published.json()["deliveries"] == 1


async def test_the_same_idempotency_key_of_another_tenant_is_another_request(
    guarded: ApiWorld,
) -> None:
    headers = {"Idempotency-Key": "key-1"}
    secrets = set()
    for tenant_id in ("acme", "other"):
        client = guarded.caller(await guarded.key(tenant_id=tenant_id))
        wish = {name: WISH[name] for name in ("eventType", "callbackUrl")}
        answer = await client.post("/webhook-subscriptions", json=wish, headers=headers)
        assert answer.status_code == 201
        secrets.add(answer.json()["secret"])
        accepted = await client.post("/events", json=EVENT, headers=headers)
        assert "idempotent-replay" not in accepted.headers
    assert len(secrets) == 2


async def test_a_tenant_begins_by_being_named_and_is_erased_as_a_whole(world: ApiWorld) -> None:
    created = await world.subscribe(tenantId="acme")
    await world.publish(tenantId="acme", eventId="one")
    await world.finish(created["subscriptionId"])
    await world.publish(tenantId="acme")
    await world.publish(tenantId="other")
    listed = (await world.client.get("/tenants")).json()["items"]
    assert [one["tenantId"] for one in listed] == ["other", "acme"]
    key = await world.key("events:read", tenant_id="acme")
    assert (await world.client.delete("/tenants/acme")).status_code == 204
    expect_problem(await world.caller(key).get("/events"), 401, "unauthorized")
    for path in ("/webhook-subscriptions", "/events", "/deliveries", "/api-keys"):
        answer = await world.client.get(path, params={"tenantId": "acme"})
        assert answer.json()["items"] == []
    expect_problem(await world.client.delete("/tenants/acme"), 404, "not_found")
    assert len((await world.client.get("/events", params={"tenantId": "*"})).json()["items"]) == 1


async def test_the_administrator_of_a_tenant_sees_that_tenant(guarded: ApiWorld) -> None:
    await _acme(guarded)
    client = guarded.caller(await guarded.key(tenant_id="acme"))
    answer = (await client.get("/tenants")).json()
    assert [one["tenantId"] for one in answer["items"]] == ["acme"]
    assert answer["nextCursor"] is None
    assert (await client.delete("/tenants/acme")).status_code == 204
