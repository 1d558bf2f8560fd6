"""What is too old goes, and nothing unfinished goes with it unnoticed."""

import pytest

from tests.support.engine_world import EngineWorld
from tests.support.receiver import Receiver, Reply
from tidings.core.delivery import DeadLetterReason, DeliveryStatus
from tidings.core.refusals import NotFound
from tidings.core.retry import RetryPolicy

DAY_MS = 86_400_000


async def test_unfinished_deliveries_expire_a_day_before_their_event_is_deleted(
    world: EngineWorld, receiver: Receiver
) -> None:
    receiver.answer = lambda _: Reply(500)
    await world.subscribe(f"{receiver.url}/old", retry_policy=RetryPolicy((604_800.0,) * 20))
    (event_id,) = await world.publish(1)
    await world.until(lambda: len(receiver.received) == 1)
    world.clock.ahead_ms += 29 * DAY_MS + 60_000
    await world.engine.maintenance.retain()
    (dead,) = await world.deliveries(status=DeliveryStatus.DEAD_LETTERED)
    assert dead.reason is DeadLetterReason.EXPIRED
    assert (await world.store.get_event("default", event_id)).event_id == event_id
    # PostgreSQL drops whole days, so an event may stay until the end of its own.
    world.clock.ahead_ms += 2 * DAY_MS
    await world.engine.maintenance.retain()
    with pytest.raises(NotFound):
        await world.store.get_event("default", event_id)
    assert await world.deliveries() == []
    assert await world.store.list_attempts(dead.delivery_id) == []
