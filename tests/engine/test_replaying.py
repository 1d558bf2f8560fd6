"""Replays in bulk: complete, throttled, observable, and never in the way of fresh events."""

from dataclasses import replace

from tests.support.engine_world import EngineWorld
from tests.support.receiver import Receiver
from tidings.core.delivery import DeliveryStatus
from tidings.core.limits import REPLAYED_ROWS_WAITING_MAX
from tidings.core.subscription import DisabledReason, Status, disabled
from tidings.ports.records import Replay, ReplayScope

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
