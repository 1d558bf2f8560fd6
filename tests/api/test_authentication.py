"""Keys and scopes on every route; and what development mode lets through."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from tests.api.route_table import TABLE, Row
from tests.support.api_world import EVENT, ApiWorld
from tests.support.problems import expect_problem
from tidings.operations.access import DEVELOPER, Scope

KEYED = [row for row in TABLE if row.scope is not None]
OPEN = [row for row in TABLE if row.scope is None]


def _path(row: Row) -> str:
    for name in ("subscriptionId", "eventId", "deliveryId", "replayId", "keyId", "tenantId"):
        row = row._replace(path=row.path.replace(f"{{{name}}}", "unknown"))
    if row.path == "/events/stream":
        # A stream that is let in has no end; one that asks for nonsense is refused after the key.
        return f"{row.path}?eventType=.."
    return row.path.replace("{eventType}", "order.shipped")


async def _call(client: httpx2.AsyncClient, row: Row, **options: Any) -> httpx2.Response:
    return await client.request(row.method, _path(row), **options)


@pytest.mark.parametrize("row", KEYED, ids=lambda row: f"{row.method} {row.path}")
async def test_a_route_needs_a_key_with_its_scope_and_with_no_other(
    guarded: ApiWorld, row: Row
) -> None:
    anybody = guarded.caller()
    answer = await _call(anybody, row)
    expect_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert row.scope is not None
    others = [scope for scope in Scope if scope not in (row.scope, Scope.ADMIN)]
    lacking = guarded.caller(await guarded.key(*others))
    expect_problem(await _call(lacking, row), 403, "missing_scope")
    for scope in (row.scope, Scope.ADMIN):
        allowed = await _call(guarded.caller(await guarded.key(scope)), row)
        assert allowed.status_code not in (401, 403, 405, 500)


@pytest.mark.parametrize("row", OPEN, ids=lambda row: f"{row.method} {row.path}")
async def test_an_open_route_needs_no_key(guarded: ApiWorld, row: Row) -> None:
    answer = await _call(guarded.caller(), row)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Bearer nonsense", "Basic {}", "{}", "Bearer {}x", "Bearer é"],
)
async def test_only_a_bearer_of_a_key_gets_in(guarded: ApiWorld, value: str) -> None:
    header = value.format(await guarded.key()).encode("latin-1")
    answer = await guarded.caller().get("/events", headers=[(b"authorization", header)])
    expect_problem(answer, 401, "unauthorized")
    assert "nonsense" not in answer.text


async def test_the_scheme_is_written_in_any_case(guarded: ApiWorld) -> None:
    header = {"Authorization": f"bearer {await guarded.key()}"}
    assert (await guarded.caller().get("/events", headers=header)).status_code == 200


async def test_a_key_is_judged_before_the_body_is_read(guarded: ApiWorld) -> None:
    malformed: Any = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    answer = await guarded.caller().post("/events", **malformed)
    expect_problem(answer, 401, "unauthorized")
    reader = guarded.caller(await guarded.key(Scope.EVENTS_READ))
    expect_problem(await reader.post("/events", **malformed), 403, "missing_scope")


async def test_an_expired_key_is_no_key(guarded: ApiWorld) -> None:
    ends_at_ms = guarded.clock.now_ms() + 60_000
    _, text = await guarded.access.create(
        DEVELOPER, name="soon gone", scopes=[Scope.ADMIN], expires_at_ms=ends_at_ms
    )
    client = guarded.caller(text)
    assert (await client.get("/events")).status_code == 200
    guarded.clock.ahead_ms += 60_000
    expect_problem(await client.get("/events"), 401, "unauthorized")


async def test_a_revoked_key_is_no_key_from_that_moment_on(guarded: ApiWorld) -> None:
    admin = guarded.caller(await guarded.key())
    created = (await admin.post("/api-keys", json={"name": "x", "scopes": ["admin"]})).json()
    client = guarded.caller(created["key"])
    assert (await client.get("/events")).status_code == 200
    assert (await admin.delete(f"/api-keys/{created['keyId']}")).status_code == 204
    expect_problem(await client.get("/events"), 401, "unauthorized")


async def test_development_mode_needs_no_key_but_checks_one_that_is_given(
    world: ApiWorld,
) -> None:
    assert (await world.client.post("/events", json=EVENT)).status_code == 202
    expect_problem(await world.caller("nonsense").get("/events"), 401, "unauthorized")
    reader = world.caller(await world.key(Scope.EVENTS_READ))
    assert (await reader.get("/events")).status_code == 200
    expect_problem(await reader.post("/events", json=EVENT), 403, "missing_scope")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "127.1.2.3", "[::1]:80"]
)
async def test_development_mode_answers_this_computer(world: ApiWorld, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert (await world.client.get("/events", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "example.com"},
        {"Host": "localhost.example.com"},
        {"Host": "192.168.0.1"},
        {"Host": "[::ffff:1.2.3.4]"},
        {"Host": ""},
        {"Origin": "https://example.com"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Origin": ""},
    ],
)
@pytest.mark.parametrize("path", ["/events", "/health/live", "/nowhere"])
async def test_development_mode_answers_nobody_else(
    world: ApiWorld, path: str, headers: dict[str, str]
) -> None:
    expect_problem(await world.client.get(path, headers=headers), 403, "foreign_origin")


async def test_in_production_any_host_may_be_named(guarded: ApiWorld) -> None:
    client = guarded.caller(await guarded.key())
    headers = {"Host": "hooks.example.com", "Origin": "https://example.com"}
    assert (await client.get("/events", headers=headers)).status_code == 200


async def test_metrics_are_for_administrators_of_everything(guarded: ApiWorld) -> None:
    tenant_admin = guarded.caller(await guarded.key(tenant_id="acme"))
    expect_problem(await tenant_admin.get("/metrics"), 403, "wrong_tenant")
    answer = await guarded.caller(await guarded.key()).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")


async def test_expiry_is_told_as_it_was_given(guarded: ApiWorld) -> None:
    admin = guarded.caller(await guarded.key())
    moment = datetime(2999, 1, 1, tzinfo=UTC).isoformat()
    body = {"name": "x", "scopes": ["events:read"], "expiresAt": moment}
    answer = await admin.post("/api-keys", json=body)
    assert answer.json()["expiresAt"] == "2999-01-01T00:00:00Z"
