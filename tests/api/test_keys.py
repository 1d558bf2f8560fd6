"""API keys: made, listed, revoked."""

from typing import Any

import pytest

from tests.support.api_world import ApiWorld
from tests.support.problems import expect_problem
from tidings.operations.access import KEY_PREFIX, Scope


async def test_a_key_is_answered_once_with_what_it_may(world: ApiWorld) -> None:
    body = {"name": "Publisher", "scopes": ["events:write", "events:read", "events:write"]}
    answer = await world.client.post("/api-keys", json=body)
    assert answer.status_code == 201
    created = answer.json()
    key = created.pop("key")
    assert key.startswith(KEY_PREFIX)
    assert len(key) >= len(KEY_PREFIX) + 43
    assert created == {
        "keyId": created["keyId"],
        "name": "Publisher",
        "scopes": ["events:read", "events:write"],
        "tenantId": None,
        "expiresAt": None,
        "createdAt": created["createdAt"],
    }
    assert (await world.client.get("/api-keys")).json()["items"] == [created]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "", "scopes": ["admin"]},
        {"name": "x" * 201, "scopes": ["admin"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "scopes": "admin"},
        {"name": "x", "scopes": ["admin"], "tenantId": "a/b"},
        {"name": "x", "scopes": ["admin"], "expiresAt": "tomorrow"},
        {"name": "x", "scopes": ["admin"], "expiresAt": "2024-05-04T12:00:00Z"},
        {"name": "x", "scopes": ["admin"], "key": "mine"},
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(world: ApiWorld, body: Any) -> None:
    expect_problem(await world.client.post("/api-keys", json=body), 422, "validation_failed")
    assert (await world.client.get("/api-keys")).json()["items"] == []


async def test_what_is_wrong_with_a_key_is_pointed_at(world: ApiWorld) -> None:
    for expires_at in ("tomorrow", "2024-05-04T12:00:00Z"):
        body = {"name": "x", "scopes": ["admin"], "expiresAt": expires_at}
        problem = expect_problem(
            await world.client.post("/api-keys", json=body), 422, "validation_failed"
        )
        assert [fault["pointer"] for fault in problem["errors"]] == ["/expiresAt"]


async def test_keys_are_listed_newest_first_over_all_tenants_or_of_one(world: ApiWorld) -> None:
    ids = []
    for tenant_id in (None, "acme", "other"):
        body = {"name": "x", "scopes": ["events:read"], "tenantId": tenant_id}
        ids.append((await world.client.post("/api-keys", json=body)).json()["keyId"])
        world.clock.ahead_ms += 1

    async def listed(**parameters: str) -> list[str]:
        answer = await world.client.get("/api-keys", params=parameters)
        return [one["keyId"] for one in answer.json()["items"]]

    assert await listed() == await listed(tenantId="*") == ids[::-1]
    assert await listed(tenantId="acme") == [ids[1]]


async def test_a_key_is_revoked_once(world: ApiWorld) -> None:
    body = {"name": "x", "scopes": ["admin"], "tenantId": "acme"}
    key_id = (await world.client.post("/api-keys", json=body)).json()["keyId"]
    elsewhere = await world.client.delete(f"/api-keys/{key_id}", params={"tenantId": "other"})
    expect_problem(elsewhere, 404, "not_found")
    for status in (204, 404):
        assert (await world.client.delete(f"/api-keys/{key_id}")).status_code == status


async def test_the_administrator_of_a_tenant_makes_keys_of_that_tenant(guarded: ApiWorld) -> None:
    admin = guarded.caller(await guarded.key(tenant_id="acme"))
    answer = await admin.post("/api-keys", json={"name": "x", "scopes": list(Scope)})
    assert answer.status_code == 201
    assert answer.json()["tenantId"] == "acme"
