"""The data of an event: for a key that may read events, or at the address that we signed."""

import pytest

from tests.support.api_world import ApiWorld, api_world
from tests.support.problems import expect_problem

DATA = {"z": 1, "a": ["ü"]}
_DAY_MS = 24 * 3_600_000


async def _address(world: ApiWorld, event_id: str, tenant_id: str = "default") -> str:
    event = await world.store.get_event(tenant_id, event_id)
    address = world.payloads.data_address(tenant_id, event_id, event.seq)
    return address.removeprefix(world.payloads.public_url)


async def test_a_key_reads_the_data_of_its_tenant(world: ApiWorld) -> None:
    event_id = (await world.publish(data=DATA, tenantId="acme"))["eventId"]
    path = f"/events/{event_id}/data"
    own = world.caller(await world.key("events:read", tenant_id="acme"))
    answer = await own.get(path)
    assert (answer.status_code, answer.json()) == (200, DATA)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    other = world.caller(await world.key("events:read", tenant_id="other"))
    expect_problem(await other.get(path), 404, "not_found")
    expect_problem(await other.get(path, params={"tenantId": "acme"}), 403, "wrong_tenant")
    writer = world.caller(await world.key("events:write", tenant_id="acme"))
    expect_problem(await writer.get(path), 403, "missing_scope")


async def test_the_bytes_are_those_that_were_published(world: ApiWorld) -> None:
    data = '{"n" : 1.0,"big":123456789012345678901, "u":"\\u00fc"}'
    body = f'{{"eventType":"a","eventId":"evt_1","data":{data}}}'
    await world.client.post("/events", content=body, headers={"Content-Type": "application/json"})
    assert (await world.client.get("/events/evt_1/data")).text == data


async def test_the_signed_address_needs_no_key(tmp_path: object) -> None:
    async with api_world(tmp_path, is_dev=False) as world:  # type: ignore[arg-type]
        world.client.headers["Authorization"] = f"Bearer {await world.key()}"
        event_id = (await world.publish(data=DATA, tenantId="acme"))["eventId"]
        address = await _address(world, event_id, "acme")
        stranger = world.caller()
        assert (await stranger.get(address)).json() == DATA
        expect_problem(await stranger.get(f"/events/{event_id}/data"), 401, "unauthorized")
        expect_problem(await stranger.get(f"/events/{event_id}?signature=x"), 401, "unauthorized")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("signature=", "signature=A"),
        ("tenantId=acme", "tenantId=other"),
        ("tenantId=acme&", ""),
        ("/evt_1/", "/evt_2/"),
        ("/evt_1/", "/evt_3/"),
        ("/evt_1/", "/%20/"),
    ],
)
async def test_an_address_that_was_changed_leads_nowhere(
    world: ApiWorld, old: str, new: str
) -> None:
    for event_id, tenant_id in (("evt_1", "acme"), ("evt_1", "other"), ("evt_2", "acme")):
        await world.publish(data=DATA, tenantId=tenant_id, eventId=event_id)
    address = await _address(world, "evt_1", "acme")
    assert (await world.client.get(address)).status_code == 200
    changed = address.replace(old, new)
    assert changed != address
    expect_problem(await world.client.get(changed), 404, "not_found")


async def test_erased_data_are_gone_at_once(world: ApiWorld) -> None:
    event_id = (await world.publish(data=DATA))["eventId"]
    address = await _address(world, event_id)
    assert (await world.client.delete(f"/events/{event_id}/data")).status_code == 204
    for path in (address, f"/events/{event_id}/data"):
        expect_problem(await world.client.get(path), 404, "not_found")


async def test_an_address_ends_with_the_retention_of_its_event(world: ApiWorld) -> None:
    event_id = (await world.publish(data=DATA))["eventId"]
    address = await _address(world, event_id)
    world.clock.ahead_ms += 30 * _DAY_MS - 60_000
    assert (await world.client.get(address)).status_code == 200
    world.clock.ahead_ms += 60_000
    expect_problem(await world.client.get(address), 404, "not_found")


async def test_other_routes_are_not_opened_by_a_signature(world: ApiWorld) -> None:
    event_id = (await world.publish(data=DATA))["eventId"]
    address = await _address(world, event_id)
    other = world.caller(await world.key("deliveries:read"))
    # The signature decides, whatever the key may do.
    assert (await other.get(address)).json() == DATA
    answer = await other.delete(address)
    expect_problem(answer, 403, "missing_scope")
