"""No key reaches what belongs to another tenant: every route, every kind of id, every scope.

The routes come from the code, so that a new one is tried without anybody thinking of it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.api_world import EVENT, WISH, ApiWorld, api_world
from tidings.api.route import Route
from tidings.api.routes import ROUTES
from tidings.operations.access import Scope

OURS, THEIRS = "acme", "umbrella"
STREAM = "/events/stream"  # it has no end; tests of its own listen to it
KEYED = [route for route in ROUTES if route.scope is not None and route.path != STREAM]
# A PUT makes what is not there, and so finds everything; that it stays within its tenant is tried
# with those that name another.
OF_ONE_THING = [route for route in KEYED if "{" in route.path and route.method != "PUT"]
OF_A_TENANT = [route for route in KEYED if "{" not in route.path and route.path != "/metrics"]
BODIES: dict[str, dict[str, Any]] = {
    "/events": EVENT,
    "/events/batch": {"events": [EVENT]},
    "/webhook-subscriptions": WISH,
    "/webhook-subscriptions/test-filter": {"filter": {"total": [1]}, "data": {"total": 1}},
    "/api-keys": {"name": "x", "scopes": ["events:read"]},
}
NEVER_SEEN = {
    "subscriptionId": "sub_00000000000000000000000000",
    "deliveryId": "dlv_00000000000000000000000000",
    "replayId": "rpl_00000000000000000000000000",
    "keyId": "key_00000000000000000000000000",
    "eventId": "evt_never_seen",
    "tenantId": "never-seen",
    "eventType": "never-seen-type",
}


_LISTS = ("/webhook-subscriptions", "/events", "/deliveries", "/api-keys", "/event-types")


@dataclass
class Tenants:
    """Two tenants with one of everything each, and the key of the second that may do all."""

    world: ApiWorld
    ids: dict[str, dict[str, str]]
    admin: httpx2.AsyncClient
    key: str
    foreign: httpx2.AsyncClient

    async def state(self, tenant_id: str) -> Any:
        """All that a tenant has, as an administrator sees it."""
        found = {}
        for path in _LISTS:
            answer = await self.admin.get(path, params={"tenantId": tenant_id, "limit": 200})
            found[path] = answer.json()["items"]
        return found


@pytest.fixture
async def tenants(tmp_path: Path) -> AsyncIterator[Tenants]:
    async with api_world(tmp_path, is_dev=False) as world:
        admin = world.client = world.caller(await world.key())
        ids = {one: await _one_of_everything(world, one) for one in (OURS, THEIRS)}
        key = await world.key(Scope.ADMIN, tenant_id=THEIRS)
        yield Tenants(world, ids, admin, key, world.caller(key))


async def _one_of_everything(world: ApiWorld, tenant_id: str) -> dict[str, str]:
    """A subscription, an event, a dead letter and a pending delivery, a replay, a key."""
    subscription = await world.subscribe(tenantId=tenant_id, metadata={"of": tenant_id})
    event = await world.publish(tenantId=tenant_id, eventId=f"evt_of_{tenant_id}")
    (dead,) = await world.finish(subscription["subscriptionId"])
    await world.publish(tenantId=tenant_id, eventId=f"evt_pending_of_{tenant_id}")
    (pending,) = await world.deliveries(tenantId=tenant_id, status="pending")
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}/replay"
    body = {"tenantId": tenant_id, "eventType": "never.published"}
    replay = (await world.client.post(path, json=body)).json()
    event_type = f"type-of-{tenant_id}"
    await world.client.put(f"/event-types/{event_type}", json={"tenantId": tenant_id})
    key = await world.client.post("/api-keys", json=BODIES["/api-keys"] | {"tenantId": tenant_id})
    return {
        "subscriptionId": subscription["subscriptionId"],
        "eventId": event["eventId"],
        "deliveryId": dead,
        "pendingId": pending["deliveryId"],
        "replayId": replay["replayId"],
        "keyId": key.json()["keyId"],
        "tenantId": tenant_id,
        "eventType": event_type,
    }


def _wanted(route: Route) -> str:
    """The kind of id that stands in the path; empty if there is none."""
    return route.path.partition("{")[2].partition("}")[0]


def _path(route: Route, thing: str) -> str:
    return route.path.replace(f"{{{_wanted(route)}}}", thing)


def _options(route: Route, **members: str) -> dict[str, Any]:
    """What to send so that only the key can be wrong."""
    if route.body_type is None:
        return {}
    return {"json": BODIES.get(route.path, {}) | members}


async def _call(client: httpx2.AsyncClient, route: Route, thing: str, **options: Any) -> Any:
    return await client.request(route.method, _path(route, thing), **options)


def _named(route: Route) -> str:
    return f"{route.method} {route.path}"


async def test_what_another_tenant_has_is_as_if_it_were_not_there(tenants: Tenants) -> None:
    before = await tenants.state(OURS)
    tried, wrong = 0, []
    for route in OF_ONE_THING:
        nothing = NEVER_SEEN[_wanted(route)]
        missing = await _call(tenants.foreign, route, nothing, **_options(route))
        for kind, thing in tenants.ids[OURS].items():
            answer = await _call(tenants.foreign, route, thing, **_options(route))
            tried += 1
            if (answer.status_code, answer.json()) != (404, missing.json()):
                wrong.append(f"{_named(route)} with {kind}: {answer.status_code} {answer.text}")
    assert not wrong
    assert tried == len(OF_ONE_THING) * len(tenants.ids[OURS]) > 150
    assert await tenants.state(OURS) == before


async def test_the_same_routes_find_what_is_the_tenants_own(tenants: Tenants) -> None:
    """So that a 404 above comes from the tenant, and not from a request that is wrong anyway."""
    ids = tenants.ids[THEIRS]
    for route in OF_ONE_THING:
        if route.method == "GET":
            answer = await _call(tenants.foreign, route, ids[_wanted(route)])
            assert answer.status_code == 200, f"{_named(route)}: {answer.text}"


async def test_naming_another_tenant_is_forbidden_in_the_query_and_in_the_body(
    tenants: Tenants,
) -> None:
    before = await tenants.state(OURS)
    wrong, tried = [], 0
    for route in KEYED:
        thing = tenants.ids[OURS].get(_wanted(route), "")
        attempts = []
        if "tenant_id" in route.query_type.__struct_fields__:
            attempts.append(_options(route) | {"params": {"tenantId": OURS}})
        if route.body_type is not None and "tenant_id" in route.body_type.__struct_fields__:
            attempts.append(_options(route, tenantId=OURS))
        for options in attempts:
            answer = await _call(tenants.foreign, route, thing, **options)
            tried += 1
            if (answer.status_code, answer.json().get("code")) != (403, "wrong_tenant"):
                wrong.append(f"{_named(route)} {options}: {answer.status_code} {answer.text}")
    assert not wrong
    assert tried > 30
    batch = {"events": [EVENT | {"tenantId": OURS}]}
    answer = await tenants.foreign.post("/events/batch", json=batch)
    assert answer.status_code == 202, answer.text
    (item,) = answer.json()["items"]
    assert item["problem"]["code"] == "wrong_tenant"
    assert await tenants.state(OURS) == before


async def test_a_list_holds_nothing_of_another_tenant_whatever_it_is_narrowed_by(
    tenants: Tenants,
) -> None:
    ours = tenants.ids[OURS]
    for route in OF_A_TENANT:
        if route.method != "GET":
            continue
        fields = set(route.query_type.__struct_fields__)
        narrowed: list[dict[str, str]] = [{}]
        narrowed += [{"subscriptionId": ours["subscriptionId"]}] * ("subscription_id" in fields)
        narrowed += [{"eventId": ours["eventId"]}] * ("event_id" in fields)
        for parameters in narrowed:
            answer = await tenants.foreign.get(route.path, params=parameters)
            assert answer.status_code == 200, answer.text
            assert not any(one in answer.text for one in ours.values()), _named(route)
            if "items" in answer.json():
                assert bool(answer.json()["items"]) == (not parameters), _named(route)
        everybody = await tenants.foreign.get(route.path, params={"tenantId": "*"})
        if "tenant_id" in fields:
            assert everybody.json()["code"] == "wrong_tenant"


async def test_a_cursor_of_one_tenant_is_no_cursor_of_another(tenants: Tenants) -> None:
    for path in ("/events", "/deliveries", "/webhook-subscriptions", "/api-keys"):
        for _ in range(2):
            await tenants.world.subscribe(tenantId=OURS)
            await tenants.world.key(Scope.EVENTS_READ, tenant_id=OURS)
        page = await tenants.admin.get(path, params={"tenantId": OURS, "limit": 1})
        cursor = page.json()["nextCursor"]
        assert cursor, path
        answer = await tenants.foreign.get(path, params={"cursor": cursor, "limit": 1})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_a_global_key_finds_a_thing_only_in_the_tenant_that_it_names(
    tenants: Tenants,
) -> None:
    for route in OF_ONE_THING:
        if "tenant_id" in route.query_type.__struct_fields__:
            thing = tenants.ids[OURS][_wanted(route)]
            options = _options(route) | {"params": {"tenantId": THEIRS}}
            answer = await _call(tenants.admin, route, thing, **options)
            assert answer.status_code == 404, f"{_named(route)}: {answer.text}"


# --- what covers many things ---------------------------------------------------------------------


async def test_a_bulk_replay_stays_within_its_tenant(tenants: Tenants) -> None:
    before = await tenants.state(OURS)
    for body in ({}, {"since": "2000-01-01T00:00:00Z"}, {"eventType": "*"}):
        answer = await tenants.foreign.post("/dead-letters/replay", json=body | {"dryRun": True})
        assert answer.json()["deliveries"] == 1, answer.text
        answer = await tenants.foreign.post("/dead-letters/replay", json=body)
        assert answer.status_code == 202
    of_another = {"subscriptionId": tenants.ids[OURS]["subscriptionId"]}
    answer = await tenants.foreign.post("/dead-letters/replay", json=of_another)
    assert answer.status_code == 404
    assert await tenants.state(OURS) == before


async def test_an_event_is_not_replayed_to_a_subscription_of_another_tenant(
    tenants: Tenants,
) -> None:
    before = await tenants.state(OURS)
    path = f"/events/{tenants.ids[THEIRS]['eventId']}/replay"
    body = {"subscriptionId": tenants.ids[OURS]["subscriptionId"]}
    assert (await tenants.foreign.post(path, json=body)).status_code == 404
    assert (await tenants.foreign.post(path, json={})).status_code == 202
    assert await tenants.state(OURS) == before


async def test_a_published_event_reaches_subscriptions_of_its_own_tenant_alone(
    tenants: Tenants,
) -> None:
    before = await tenants.state(OURS)
    answer = await tenants.foreign.post("/events", json=EVENT)
    assert answer.json()["deliveries"] == 1
    batch = await tenants.foreign.post("/events/batch", json={"events": [EVENT] * 3})
    assert [one["event"]["deliveries"] for one in batch.json()["items"]] == [1, 1, 1]
    assert await tenants.state(OURS) == before


async def test_erasing_one_tenant_leaves_the_other_as_it_was(tenants: Tenants) -> None:
    before = await tenants.state(OURS)
    assert (await tenants.foreign.delete(f"/tenants/{OURS}")).status_code == 404
    assert (await tenants.foreign.delete(f"/tenants/{THEIRS}")).status_code == 204
    assert await tenants.state(OURS) == before
    assert (await tenants.foreign.get("/events")).status_code == 401


@pytest.mark.parametrize(("path", "body"), [("/events", EVENT), ("/webhook-subscriptions", WISH)])
async def test_an_idempotency_key_of_one_tenant_means_nothing_to_another(
    tenants: Tenants, path: str, body: dict[str, Any]
) -> None:
    header = {"Idempotency-Key": "the-same-key"}
    ours = tenants.world.caller(await tenants.world.key(Scope.ADMIN, tenant_id=OURS))
    first = (await ours.post(path, json=body, headers=header)).json()
    again = (await ours.post(path, json=body, headers=header)).json()
    other = (await tenants.foreign.post(path, json=body, headers=header)).json()
    name = "eventId" if path == "/events" else "subscriptionId"
    assert first[name] == again[name] != other[name]


async def test_a_tenant_makes_no_key_that_reaches_beyond_it(tenants: Tenants) -> None:
    for named in ({}, {"tenantId": None}, {"tenantId": THEIRS}):
        body = {"name": "x", "scopes": ["admin"]} | named
        made = (await tenants.foreign.post("/api-keys", json=body)).json()
        assert made["tenantId"] == THEIRS
        answer = await tenants.world.caller(made["key"]).get("/metrics")
        assert answer.json()["code"] == "wrong_tenant"


# --- scopes and revocation -----------------------------------------------------------------------


async def test_a_route_without_its_scope_is_forbidden(tenants: Tenants) -> None:
    before = await tenants.state(THEIRS)
    callers = {}
    for scope in Scope:
        callers[scope] = tenants.world.caller(await tenants.world.key(scope, tenant_id=THEIRS))
    before["/api-keys"] = (await tenants.state(THEIRS))["/api-keys"]
    wrong = []
    for route in KEYED:
        thing = tenants.ids[THEIRS].get(_wanted(route), "order.shipped")
        for scope, caller in callers.items():
            if scope in (route.scope, Scope.ADMIN):
                continue
            answer = await _call(caller, route, thing, **_options(route))
            if (answer.status_code, answer.json()["code"]) != (403, "missing_scope"):
                wrong.append(f"{_named(route)} with {scope}: {answer.status_code}")
    assert not wrong
    assert await tenants.state(THEIRS) == before


async def test_no_key_makes_one_with_a_scope_that_it_lacks(tenants: Tenants) -> None:
    for scope in Scope:
        caller = tenants.world.caller(await tenants.world.key(scope, tenant_id=THEIRS))
        body = {"name": "x", "scopes": [scope.value]}
        answer = await caller.post("/api-keys", json=body)
        expected = 201 if scope is Scope.ADMIN else 403
        assert answer.status_code == expected, f"{scope}: {answer.text}"


async def test_a_revoked_key_opens_nothing_from_that_moment_on(tenants: Tenants) -> None:
    body = {"name": "x", "scopes": ["admin"], "tenantId": THEIRS}
    for route in KEYED:
        made = (await tenants.admin.post("/api-keys", json=body)).json()
        caller = tenants.world.caller(made["key"])
        answer = await _call(caller, route, "never-seen", **_options(route))
        assert answer.status_code != 401, _named(route)
        revoked = await tenants.foreign.delete(f"/api-keys/{made['keyId']}")
        assert revoked.status_code == 204
        answer = await _call(caller, route, "never-seen", **_options(route))
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), _named(route)
