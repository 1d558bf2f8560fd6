"""The operator's subscriptions: lifecycle events of all tenants, and nothing that is not theirs."""

from dataclasses import replace

import pytest

from tests.contracts.store.conftest import Filled
from tests.support.values import NOW_MS, TENANT, a_result, a_subscription
from tidings.core.delivery import Delivery, Turn, ending_of
from tidings.core.grammar import OPERATOR
from tidings.core.refusals import InvalidState, NotFound
from tidings.core.subscription import Subscription
from tidings.ports.records import DeliveryFilter, EventFilter


async def watch_all(filled: Filled, event_type: str = "tidings.*") -> Subscription:
    watcher = a_subscription(event_type, tenant_id=OPERATOR)
    await filled.store.create_subscription(watcher, quota=9)
    return watcher


async def create(filled: Filled, tenant_id: str, event_type: str = "*") -> list[Delivery]:
    """A new subscription; answers the rows of the event that tells of it."""
    before = len(filled.told)
    await filled.store.create_subscription(a_subscription(event_type, tenant_id=tenant_id), quota=9)
    return [row for changes in filled.told[before:] for row in changes.arrived]


async def event_id_of(filled: Filled, tenant_id: str) -> str:
    wanted = EventFilter(tenant_id, "tidings.*")
    (found,) = await filled.store.list_events(wanted, before=None, limit=1)
    return found.event_id


async def test_it_gets_lifecycle_events_of_every_tenant_and_no_others(filled: Filled) -> None:
    watcher = await watch_all(filled)
    for tenant_id in ("acme", "zeta"):
        (row,) = await create(filled, tenant_id)
        assert (row.subscription_id, row.tenant_id) == (watcher.subscription_id, OPERATOR)
    assert await filled.publish(event_type="order.shipped") == []
    assert await filled.publish(event_type="order.shipped", tenant_id="acme") != []


async def test_it_gets_those_about_the_operators_own_but_never_about_itself(
    filled: Filled,
) -> None:
    one = await watch_all(filled)
    before = len(filled.told)
    await watch_all(filled)
    rows = [row for changes in filled.told[before:] for row in changes.arrived]
    assert [row.subscription_id for row in rows] == [one.subscription_id]
    # Tenants do not get what is about the operator's.
    await create(filled, "acme", "tidings.*")
    before = len(filled.told)
    await filled.store.change_subscription(
        OPERATOR, one.subscription_id, lambda old: replace(old, description="x")
    )
    rows = [row for changes in filled.told[before:] for row in changes.arrived]
    assert {row.tenant_id for row in rows} == {OPERATOR}


async def test_its_deliveries_are_shown_to_the_operator_alone(filled: Filled) -> None:
    await watch_all(filled)
    (row,) = await create(filled, "acme")
    found = await filled.store.get_delivery(OPERATOR, row.delivery_id)
    assert found.event_id == await event_id_of(filled, "acme")
    with pytest.raises(NotFound):
        await filled.store.get_delivery("acme", row.delivery_id)
    for tenant_id, count in (("acme", 0), (OPERATOR, 1), (None, 1)):
        wanted = DeliveryFilter(tenant_id)
        assert len(await filled.store.list_deliveries(wanted, before=None, limit=9)) == count
    tenants = await filled.store.list_tenants(before=None, limit=9)
    assert [tenant_id for tenant_id, _ in tenants] == ["acme"]


async def test_a_tenant_cannot_move_what_is_the_operators(filled: Filled) -> None:
    watcher = await watch_all(filled)
    (row,) = await create(filled, "acme")
    await filled.end(row)
    event_id = await event_id_of(filled, "acme")
    replay = filled.store.replay_event
    assert await replay("acme", event_id, subscription_id=None, now_ms=NOW_MS) == 0
    with pytest.raises(NotFound):
        await replay("acme", event_id, subscription_id=watcher.subscription_id, now_ms=NOW_MS)
    with pytest.raises(NotFound):
        await filled.store.replay_delivery("acme", row.delivery_id, now_ms=NOW_MS)
    await filled.store.replay_delivery(OPERATOR, row.delivery_id, now_ms=NOW_MS)


async def test_what_the_operator_got_of_a_tenant_goes_with_the_tenant(filled: Filled) -> None:
    await watch_all(filled)
    ended, under_way = (await create(filled, "acme"))[0], (await create(filled, "acme"))[0]
    kept = (await create(filled, "zeta"))[0]
    for row in (ended, kept):
        await filled.store.record_results([a_result(row, ending_of(Turn.ATTEMPT_DELIVERED))])
    before = len(filled.told)
    while await filled.store.erase_tenant("acme", now_ms=NOW_MS, limit=1):
        pass
    gone = [row for changes in filled.told[before:] for row in changes.ended]
    assert [row.seq for row in gone] == [under_way.seq]
    listed = await filled.store.list_deliveries(DeliveryFilter(OPERATOR), before=None, limit=9)
    assert [one.delivery_id for one in listed] == [kept.delivery_id]
    assert await filled.store.list_attempts(ended.delivery_id) == []
    assert len(await filled.store.list_attempts(kept.delivery_id)) == 1


async def test_an_event_is_never_replayed_to_the_subscription_that_it_is_about(
    filled: Filled,
) -> None:
    one = await filled.subscribe("tidings.*")
    event_id = await event_id_of(filled, TENANT)
    with pytest.raises(InvalidState):
        await filled.store.replay_event(
            TENANT, event_id, subscription_id=one.subscription_id, now_ms=NOW_MS
        )
    assert (
        await filled.store.replay_event(TENANT, event_id, subscription_id=None, now_ms=NOW_MS) == 0
    )
