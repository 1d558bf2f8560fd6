"""Replays in bulk: complete, throttled, observable, and never in the way of fresh events."""

from dataclasses import replace
from pathlib import Path

from tests.support.engine_world import EngineWorld, engine_world
from tests.support.receiver import Receiver
from tidings.core.delivery import DeliveryStatus
from tidings.core.limits import REPLAYED_ROWS_WAITING_MAX
from tidings.core.subscription import DisabledReason, Status, disabled
from tidings.ports.records import Replay, ReplayChoice, ReplayScope

DEAD = REPLAYED_ROWS_WAITING_MAX + 400


async def test_a_large_replay_is_complete_and_lets_fresh_events_pass(
    world: EngineWorld, receiver: Receiver
) -> None:
    subscription = await world.subscribe(f"{receiver.url}/replayed")
    await world.store.change_subscription(
        "default", subscription.subscription_id, lambda old: replace(old, status=Status.PAUSED)
    )
    for _ in range(0, DEAD, 200):
        await world.publish(200)
    await world.store.change_subscription(
        "default",
        subscription.subscription_id,
        lambda old: disabled(old, DisabledReason.OPERATOR, now_ms=world.clock.now_ms()),
    )

    async def all_are_dead() -> bool:
        return len(await world.deliveries(status=DeliveryStatus.DEAD_LETTERED)) == DEAD

    await world.until(all_are_dead, seconds=40)
    await world.store.change_subscription(
        "default", subscription.subscription_id, lambda old: replace(old, status=Status.ACTIVE)
    )
    before = len(receiver.received)
    scope = ReplayScope("default", "dead", subscription.subscription_id)
    assert await world.store.count_replay(scope) == DEAD
    now_ms = world.clock.now_ms()
    replay = Replay(world.chance.new_id("rpl", now_ms), scope, DEAD, now_ms)
    await world.store.start_replay(replay)
    (fresh,) = await world.publish(1)
    await world.until(lambda: any(one.event_id == fresh for one in receiver.received))

    async def is_finished() -> bool:
        found = await world.store.get_replay("default", replay.replay_id)
        return found.finished_at_ms is not None and found.done == DEAD

    await world.until(is_finished, seconds=40)
    await world.until(lambda: len(receiver.received) >= before + DEAD + 1, seconds=40)

    async def all_are_delivered() -> bool:
        return len(await world.deliveries(status=DeliveryStatus.DELIVERED)) == DEAD + 1

    await world.until(all_are_delivered)
    again = await world.store.count_replay(scope)
    assert again == 0


async def begin(world: EngineWorld, only: ReplayChoice, subscription_id: str) -> str:
    """Begin a replay; answers its id."""
    scope = ReplayScope("default", only, subscription_id)
    now_ms = world.clock.now_ms()
    replay_id = world.chance.new_id("rpl", now_ms)
    total = await world.store.count_replay(scope)
    await world.store.start_replay(Replay(replay_id, scope, total, now_ms))
    return replay_id


async def is_done(world: EngineWorld, replay_id: str) -> bool:
    found = await world.store.get_replay("default", replay_id)
    return found.finished_at_ms is not None


async def test_what_was_missed_comes_and_a_fresh_event_does_not_wait_for_it(
    world: EngineWorld, receiver: Receiver
) -> None:
    for _ in range(0, DEAD, 200):
        await world.publish(200)
    subscription = await world.subscribe(f"{receiver.url}/missed")
    replay_id = await begin(world, "missed", subscription.subscription_id)
    await world.until(lambda: receiver.received)
    (fresh,) = await world.publish(1)
    await world.until(lambda: len(receiver.received) >= DEAD + 1, seconds=40)
    await world.until(lambda: is_done(world, replay_id))
    arrived = [one.event_id for one in receiver.received]
    assert len(arrived) == len(set(arrived)) == DEAD + 1
    # It was published when the replay had begun, and overtook what waited of it.
    assert arrived.index(fresh) < DEAD


async def test_a_replay_goes_on_in_the_next_process(tmp_path: Path, receiver: Receiver) -> None:
    async with engine_world(tmp_path) as world:
        for _ in range(0, DEAD, 200):
            await world.publish(200)
        subscription = await world.subscribe(f"{receiver.url}/missed")
        replay_id = await begin(world, "missed", subscription.subscription_id)
        await world.until(lambda: receiver.received)
        assert not await is_done(world, replay_id)
    async with engine_world(tmp_path) as world:
        await world.until(lambda: is_done(world, replay_id), seconds=40)
        found = await world.store.get_replay("default", replay_id)
        assert found.done == found.total == DEAD

        async def all_are_delivered() -> bool:
            return len(await world.deliveries(status=DeliveryStatus.DELIVERED)) == DEAD

        await world.until(all_are_delivered, seconds=40)
    assert len({one.event_id for one in receiver.received}) == DEAD


async def test_the_replay_of_a_paused_subscription_waits_for_its_return(
    world: EngineWorld, receiver: Receiver
) -> None:
    await world.publish(5)
    subscription = await world.subscribe(f"{receiver.url}/paused")
    name = subscription.subscription_id
    await world.store.change_subscription(
        "default", name, lambda old: replace(old, status=Status.PAUSED)
    )
    replay_id = await begin(world, "missed", name)
    await world.until(lambda: is_done(world, replay_id))
    assert receiver.received == []
    await world.store.change_subscription(
        "default", name, lambda old: replace(old, status=Status.ACTIVE)
    )
    await world.until(lambda: len(receiver.received) == 5)
