"""Delivering again, where two want the same at once."""

import asyncio

import pytest

from tests.support.api_world import ApiWorld
from tidings.core.refusals import InvalidState, NotFound, ValidationFailed
from tidings.ports.records import DeliveryRecord, ReplayScope


async def _dead_letter(world: ApiWorld) -> str:
    created = await world.subscribe()
    await world.publish()
    (delivery_id,) = await world.finish(created["subscriptionId"])
    return delivery_id


async def test_of_two_replays_at_once_one_begins_a_round(world: ApiWorld) -> None:
    delivery_id = await _dead_letter(world)
    outcomes = await asyncio.gather(
        *(world.services.replays.replay_dead_letter("default", delivery_id) for _ in range(2)),
        return_exceptions=True,
    )
    begun = [one for one in outcomes if isinstance(one, DeliveryRecord)]
    refused = [one for one in outcomes if isinstance(one, InvalidState | NotFound)]
    assert (len(begun), len(refused)) == (1, 1)
    assert begun[0].replay_count == 1


async def test_a_discarded_dead_letter_is_not_replayed_by_another_at_once(world: ApiWorld) -> None:
    delivery_id = await _dead_letter(world)
    verbs = world.services.replays
    outcomes = await asyncio.gather(
        verbs.discard("default", delivery_id),
        verbs.replay_dead_letter("default", delivery_id),
        return_exceptions=True,
    )
    assert [isinstance(one, Exception) for one in outcomes].count(True) == 1
    history = await world.services.inspection.delivery("default", delivery_id)
    expected = "cancelled" if outcomes[0] is None else "pending"
    assert history.delivery.status == expected


async def test_a_replay_that_is_refused_is_not_stored(world: ApiWorld) -> None:
    verbs = world.services.replays
    with pytest.raises(ValidationFailed):
        await verbs.replay_many(ReplayScope("default", "dead", patterns="a..b"))
    with pytest.raises(NotFound):
        await verbs.replay_many(ReplayScope("default", "dead", subscription_id="sub_1"))
    assert await world.store.load_replays() == []


async def test_a_dry_run_stores_nothing(world: ApiWorld) -> None:
    await _dead_letter(world)
    begun = await world.services.replays.replay_many(
        ReplayScope("default", "dead"), is_dry_run=True
    )
    assert (begun.replay_id, begun.deliveries) == (None, 1)
    assert await world.store.load_replays() == []
