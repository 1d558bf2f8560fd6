"""Lifecycle events over HTTP: what they say, who gets them, and who may watch all tenants."""

from typing import Any

import jsonschema
import pytest

from tests.support.api_world import WISH, ApiWorld
from tests.support.problems import expect_problem
from tidings.operations.access import Scope

WATCHER = WISH | {"eventType": "tidings.*"}


async def told(world: ApiWorld, **parameters: str) -> list[tuple[str, Any]]:
    """Types and data of lifecycle events, oldest first."""
    listed = await world.client.get("/events", params={"eventType": "tidings.*"} | parameters)
    found = []
    for item in reversed(listed.json()["items"]):
        tenant = {"tenantId": item["tenantId"]}
        event = (await world.client.get(f"/events/{item['eventId']}", params=tenant)).json()
        found.append((event["eventType"], event["data"]))
    return found


async def test_an_event_shows_the_subscription_as_it_can_be_looked_up(world: ApiWorld) -> None:
    created = await world.subscribe(headers={"X-Token": "hidden"}, metadata={"a_b": "c"})
    path = f"/webhook-subscriptions/{created['subscriptionId']}"
    for change in ("pause", "resume", "disable"):
        shown = (await world.client.post(f"{path}/{change}")).json()
        _, data = (await told(world))[-1]
        assert data["subscription"] == shown
        assert "hidden" not in str(data)
    _, data = (await told(world))[-1]
    assert (data["reason"], data["deadLettered"]) == ("operator", 0)
    rotated = await world.client.post(f"{path}/rotate-secret", json={})
    await world.client.patch(path, json={"description": "new"})
    last = (await world.client.get(path)).json()
    await world.client.delete(path)
    events = await told(world)
    assert [name.rsplit(".", 1)[1] for name, _ in events] == [
        "created",
        "paused",
        "resumed",
        "disabled",
        "secret_rotated",
        "updated",
        "deleted",
    ]
    assert events[-1][1] == {"subscription": last}
    for secret in (created["secret"], rotated.json()["secret"], "whsec_"):
        assert secret not in str(events)


async def test_a_dead_letter_is_shown_as_it_can_be_looked_up(world: ApiWorld) -> None:
    created = await world.subscribe()
    await world.publish()
    (delivery_id,) = await world.finish(created["subscriptionId"])
    name, data = (await told(world))[-1]
    shown = (await world.client.get(f"/deliveries/{delivery_id}")).json()
    del shown["attempts"]
    assert name == "tidings.delivery.dead_lettered"
    assert data["delivery"] == shown
    assert data["reason"] == shown["deadLetterReason"] == "attempts_exhausted"


async def test_lists_leave_them_out_unless_they_are_asked_for(world: ApiWorld) -> None:
    await world.subscribe()
    published = await world.publish()
    for parameters in ({}, {"eventType": "*"}, {"eventType": "*.*"}):
        listed = (await world.client.get("/events", params=parameters)).json()["items"]
        assert [one["eventId"] for one in listed] == [published["eventId"]]


async def test_the_operator_watches_all_tenants(world: ApiWorld) -> None:
    answer = await world.client.post("/webhook-subscriptions", json=WATCHER | {"tenantId": "*"})
    assert answer.status_code == 201, answer.text
    watcher = answer.json()
    assert watcher["tenantId"] == "*"
    for tenant_id in ("acme", "zeta"):
        await world.subscribe(tenantId=tenant_id)
    path = f"/webhook-subscriptions/{watcher['subscriptionId']}"
    own = {"tenantId": "*"}
    listed = (await world.client.get(f"{path}/deliveries", params=own)).json()["items"]
    assert [one["tenantId"] for one in listed] == ["*", "*"]
    delivery = f"/deliveries/{listed[0]['deliveryId']}"
    assert (await world.client.get(delivery, params=own)).status_code == 200
    assert (await world.client.get(delivery)).status_code == 404
    assert (await world.client.get(path, params=own)).json()["status"] == "active"
    paused = await world.client.post(f"{path}/pause", params=own)
    assert paused.json()["status"] == "paused"
    tenants = (await world.client.get("/tenants")).json()["items"]
    assert {one["tenantId"] for one in tenants} == {"acme", "zeta"}
    assert (await world.client.delete(path, params=own)).status_code == 204


@pytest.mark.parametrize("event_type", ["*", "order.*", "tidings.*, order.shipped", "*.x"])
async def test_the_operator_watches_nothing_else(world: ApiWorld, event_type: str) -> None:
    wish = WATCHER | {"tenantId": "*", "eventType": event_type}
    refused = await world.client.post("/webhook-subscriptions", json=wish)
    assert expect_problem(refused, 422, "validation_failed")["errors"][0]["pointer"] == "/eventType"
    made = await world.client.post("/webhook-subscriptions", json=WATCHER | {"tenantId": "*"})
    path = f"/webhook-subscriptions/{made.json()['subscriptionId']}"
    patched = await world.client.patch(
        path, params={"tenantId": "*"}, json={"eventType": event_type}
    )
    expect_problem(patched, 422, "validation_failed")


async def test_no_key_but_a_global_one_of_an_administrator_is_the_operators(
    world: ApiWorld,
) -> None:
    made = await world.client.post("/webhook-subscriptions", json=WATCHER | {"tenantId": "*"})
    path = f"/webhook-subscriptions/{made.json()['subscriptionId']}"
    every = [one.value for one in Scope if one is not Scope.ADMIN]
    for key, code in (
        (await world.key(Scope.ADMIN, tenant_id="acme"), "wrong_tenant"),
        (await world.key(*every), "missing_scope"),
    ):
        caller = world.caller(key)
        own = {"tenantId": "*"}
        wish = WATCHER | own
        expect_problem(await caller.post("/webhook-subscriptions", json=wish), 403, code)
        expect_problem(await caller.get(path, params=own), 403, code)
        expect_problem(await caller.delete(path, params=own), 403, code)
        expect_problem(await caller.post(f"{path}/replay", params=own, json={}), 403, code)
        expect_problem(await caller.get(path), 404, "not_found")


async def test_nothing_is_published_and_no_key_made_for_the_operator(world: ApiWorld) -> None:
    event = {"eventType": "order.shipped", "data": {}, "tenantId": "*"}
    expect_problem(await world.client.post("/events", json=event), 422, "validation_failed")
    key = {"name": "x", "scopes": ["admin"], "tenantId": "*"}
    expect_problem(await world.client.post("/api-keys", json=key), 422, "validation_failed")
    expect_problem(await world.client.delete("/tenants/*"), 404, "not_found")


async def test_the_openapi_document_describes_what_is_sent(world: ApiWorld) -> None:
    created = await world.subscribe()
    await world.publish()
    await world.finish(created["subscriptionId"])
    await world.client.post(f"/webhook-subscriptions/{created['subscriptionId']}/disable")
    document = (await world.client.get("/openapi.json")).json()
    operation = document["webhooks"]["lifecycle"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
    sent = (await world.client.get("/events", params={"eventType": "tidings.*"})).json()["items"]
    assert len(sent) == 3
    for one in sent:
        event = (await world.client.get(f"/events/{one['eventId']}")).json()
        body = {name: event[name] for name in ("eventId", "eventType", "occurredAt", "data")}
        validator.validate(body)
