"""Nobody changes anything without having it put down under the key that was used."""

import dataclasses
from typing import Any

from tests.api.route_table import TABLE
from tests.support.api_world import EVENT, WISH, ApiWorld
from tidings.core.audit import AuditRecord
from tidings.core.subscription import Status
from tidings.operations.access import Scope

UNRECORDED = {
    # What is published is the record of itself.
    ("POST", "/events"),
    ("POST", "/events/batch"),
    # These change nothing that lasts.
    ("POST", "/webhook-subscriptions/test-filter"),
    ("POST", "/webhook-subscriptions/{subscriptionId}/test"),
}
UNBUILT = {(method, "/event-types/{eventType}") for method in ("PUT", "DELETE")}


async def test_every_route_that_changes_something_says_with_which_key(guarded: ApiWorld) -> None:
    key, text = await _key(guarded)
    client = guarded.caller(text)
    audited: list[AuditRecord] = []
    guarded.store.on_commit(lambda changes: audited.extend(changes.audited))
    called: set[tuple[str, str]] = set()

    async def call(method: str, path: str, body: Any = None, **ids: str) -> Any:
        before = len(audited)
        answer = await client.request(method, path.format(**ids), json=body)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        assert [one.by for one in audited[before:]] == [key], f"{method} {path}"
        called.add((method, path))
        return answer.json() if answer.content else None

    a_subscription = "/webhook-subscriptions/{subscriptionId}"
    made = await call("POST", "/webhook-subscriptions", WISH)
    one = {"subscriptionId": made["subscriptionId"]}
    await call("PATCH", a_subscription, {"description": "a"}, **one)
    for verb in ("pause", "resume", "disable", "resume"):
        await call("POST", f"{a_subscription}/{verb}", **one)
    await call("POST", f"{a_subscription}/rotate-secret", {}, **one)
    await call("GET", f"{a_subscription}/secret", **one)

    for number in range(4):
        published = await client.post("/events", json=EVENT | {"eventId": f"evt_{number}"})
        assert published.status_code == 202
    dead = await guarded.finish(one["subscriptionId"])
    await call("POST", "/dead-letters/{deliveryId}/replay", deliveryId=dead[0])
    await call("POST", "/deliveries/{deliveryId}/cancel", deliveryId=dead[0])
    await call("POST", "/deliveries/{deliveryId}/retry", deliveryId=dead[1])
    await call("DELETE", "/dead-letters/{deliveryId}", deliveryId=dead[2])
    await call("POST", "/dead-letters/replay", {})
    await call("POST", f"{a_subscription}/replay", {}, **one)
    await call("POST", "/events/{eventId}/replay", {}, eventId="evt_3")
    await call("DELETE", "/events/{eventId}/data", eventId="evt_3")

    wish = {"name": "a", "scopes": ["events:read"], "tenantId": "acme"}
    other = await call("POST", "/api-keys", wish)
    await call("DELETE", "/api-keys/{keyId}", keyId=other["keyId"])
    await call("DELETE", a_subscription, **one)
    await call("DELETE", "/tenants/{tenantId}", tenantId="acme")

    changing = {(row.method, row.path) for row in TABLE if row.method != "GET"}
    missing = changing - called - UNRECORDED - UNBUILT - {("POST", f"{a_subscription}/verify")}
    assert not missing, "a route is neither tried nor named among those that leave no record"


async def test_a_proof_of_an_endpoint_says_who_asked_for_it(guarded: ApiWorld) -> None:
    """Without proofs a subscription that waits for one is excused."""
    key, text = await _key(guarded)
    client = guarded.caller(text)
    made = (await client.post("/webhook-subscriptions", json=WISH)).json()
    name = made["subscriptionId"]
    await guarded.store.change_subscription(
        "default",
        name,
        lambda old: dataclasses.replace(
            old, status=Status.PENDING_VERIFICATION, must_prove=True, version=old.version + 1
        ),
    )
    audited: list[AuditRecord] = []
    guarded.store.on_commit(lambda changes: audited.extend(changes.audited))
    answer = await client.post(f"/webhook-subscriptions/{name}/verify")
    assert answer.status_code == 200, answer.text
    assert [one.by for one in audited] == [key]


async def _key(world: ApiWorld) -> tuple[str, str]:
    """An admin key: its id, and its text."""
    text = await world.key(Scope.ADMIN)
    return world.access.authenticate(text.encode()).key_id, text
