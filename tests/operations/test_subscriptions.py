"""The verbs on subscriptions, where a look through the API does not reach."""

import asyncio

import pytest

from tests.support.api_world import ApiWorld
from tidings.core.refusals import (
    CallbackUrlRefused,
    IdempotencyKeyReused,
    NotFound,
    PreconditionFailed,
    TooManySecrets,
)
from tidings.core.subscription import Subscription
from tidings.operations.subscriptions import IdempotentRequest
from tidings.operations.wish import Wish
from tidings.ports.records import IdempotentAnswer

WISH = Wish(event_type="order.*", callback_url="https://client.example.com/")


async def _created(world: ApiWorld) -> Subscription:
    created = await world.services.subscriptions.create("default", WISH)
    assert isinstance(created, Subscription)
    return created


async def _stored(world: ApiWorld, subscription: Subscription) -> Subscription:
    record = await world.store.get_subscription("default", subscription.subscription_id)
    return record.subscription


async def test_what_is_created_is_what_is_stored(world: ApiWorld) -> None:
    created = await _created(world)
    assert await _stored(world, created) == created
    assert created.version == 1


async def test_a_change_that_is_refused_changes_nothing(world: ApiWorld) -> None:
    created = await _created(world)

    def refuse(_subscription: Subscription) -> None:
        raise PreconditionFailed("not now")

    verbs = world.services.subscriptions
    with pytest.raises(PreconditionFailed):
        await verbs.change("default", created.subscription_id, lambda one: one, precondition=refuse)
    with pytest.raises(CallbackUrlRefused):
        await verbs.change(
            "default", created.subscription_id, lambda _: Wish("a", "https://127.0.0.1/")
        )
    with pytest.raises(NotFound):
        await verbs.change("other", created.subscription_id, lambda one: one)
    assert await _stored(world, created) == created


async def test_changes_at_the_same_time_are_all_kept(world: ApiWorld) -> None:
    created = await _created(world)
    verbs = world.services.subscriptions

    async def rename(number: int) -> None:
        wish = Wish(f"order.*,n{number}", WISH.callback_url)
        await verbs.change("default", created.subscription_id, lambda _: wish)

    await asyncio.gather(*(rename(number) for number in range(20)))
    assert (await _stored(world, created)).version == 21


async def test_rotations_at_the_same_time_are_bounded(world: ApiWorld) -> None:
    created = await _created(world)
    rotations = await asyncio.gather(
        *(
            world.services.subscriptions.rotate("default", created.subscription_id)
            for _ in range(10)
        ),
        return_exceptions=True,
    )
    refused = [one for one in rotations if isinstance(one, TooManySecrets)]
    assert len(refused) == 6
    assert len((await _stored(world, created)).secrets) == 5


async def test_expired_secrets_are_dropped_with_the_next_change(world: ApiWorld) -> None:
    created = await _created(world)
    verbs = world.services.subscriptions
    await verbs.rotate("default", created.subscription_id, overlap_seconds=60)
    world.clock.ahead_ms += 60_000
    assert len((await _stored(world, created)).secrets) == 2
    assert len(await verbs.secrets("default", created.subscription_id)) == 1
    await verbs.pause("default", created.subscription_id)
    assert len((await _stored(world, created)).secrets) == 1


async def test_the_same_request_at_the_same_time_is_one_subscription(world: ApiWorld) -> None:
    def answer_of(subscription: Subscription) -> bytes:
        return subscription.subscription_id.encode()

    request = IdempotentRequest("key-1", b"fingerprint", answer_of)
    created = await asyncio.gather(
        *(world.services.subscriptions.create("default", WISH, request=request) for _ in range(20))
    )
    new = [one for one in created if isinstance(one, Subscription)]
    repeats = {one.answer for one in created if isinstance(one, IdempotentAnswer)}
    assert len(new) == 1
    assert repeats == {new[0].subscription_id.encode()}
    other = IdempotentRequest("key-1", b"another", answer_of)
    with pytest.raises(IdempotencyKeyReused):
        await world.services.subscriptions.create("default", WISH, request=other)


async def test_nothing_secret_is_left_of_a_deleted_subscription(world: ApiWorld) -> None:
    created = await _created(world)
    await world.publish()
    await world.services.subscriptions.delete("default", created.subscription_id)
    (left,) = await world.store.load_subscriptions()
    assert left.subscription.secrets == ()
    assert left.subscription.headers == ()
