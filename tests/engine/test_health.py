"""An endpoint that fails is given a rest, its deliveries are held, and it comes back gently."""

from tests.support.engine_world import EngineWorld
from tests.support.receiver import Receiver, Reply
from tidings.core.delivery import DeadLetterReason, DeliveryStatus
from tidings.core.health import HealthState
from tidings.core.limits import (
    HEALTH_OPENS_AFTER_FAILURES,
    HEALTH_OPENS_AFTER_MS,
    PROBE_INTERVAL_MS_MIN,
)
from tidings.core.retry import RetryPolicy
from tidings.core.subscription import DisabledReason, Status

DAY_MS = 86_400_000


async def open_endpoint(world: EngineWorld, receiver: Receiver, policy: RetryPolicy) -> str:
    """Let an endpoint fail until it is open; answers the id of its subscription."""
    receiver.answer = lambda _: Reply(500)
    subscription = await world.subscribe(f"{receiver.url}/failing", retry_policy=policy)
    scheduler = world.engine.dispatcher.scheduler
    await world.publish(HEALTH_OPENS_AFTER_FAILURES)
    await world.until(
        lambda: (
            scheduler.health_of(subscription.subscription_id).consecutive_failures
            == HEALTH_OPENS_AFTER_FAILURES
        )
    )
    assert scheduler.health_of(subscription.subscription_id).state is HealthState.FAILING
    await world.jump(HEALTH_OPENS_AFTER_MS + 1_000)
    await world.publish()
    await world.until(lambda: scheduler.health_of(subscription.subscription_id).is_open)
    return subscription.subscription_id


async def test_an_open_endpoint_gets_only_probes_and_heals_by_one_success(
    world: EngineWorld, receiver: Receiver
) -> None:
    subscription_id = await open_endpoint(world, receiver, RetryPolicy((86_400.0,) * 3))
    scheduler = world.engine.dispatcher.scheduler
    before = len(receiver.received)
    await world.publish(20)
    await world.jump(45_000)
    await world.until(lambda: len(receiver.received) == before + 1)
    await world.until(
        lambda: scheduler.health_of(subscription_id).probe_interval_ms > PROBE_INTERVAL_MS_MIN
    )
    await world.publish(1)
    receiver.answer = lambda _: Reply(200)
    assert len(receiver.received) == before + 1
    await world.jump(100_000)
    # The probe succeeds and everything that was held follows; the first probe used up an attempt
    # of its delivery, which waits for a day.
    await world.until(lambda: len(receiver.received) == before + 1 + 20)
    assert scheduler.health_of(subscription_id).state is HealthState.HEALTHY


async def test_what_is_held_longer_than_its_schedule_is_dead_lettered(
    world: EngineWorld, receiver: Receiver
) -> None:
    await open_endpoint(world, receiver, RetryPolicy((600.0, 600.0)))
    await world.publish(5)
    world.clock.ahead_ms += 1_300_000
    await world.engine.maintenance.end_held()
    dead = await world.deliveries(status=DeliveryStatus.DEAD_LETTERED)
    reasons = {one.reason for one in dead}
    assert DeadLetterReason.ENDPOINT_UNAVAILABLE in reasons
    assert len(dead) >= 5


async def test_days_of_failure_disable_the_subscription(
    world: EngineWorld, receiver: Receiver
) -> None:
    subscription_id = await open_endpoint(world, receiver, RetryPolicy((3_600.0,) * 20))
    await world.publish(3)
    await world.jump(5 * DAY_MS + 60_000)

    async def is_disabled() -> bool:
        found = await world.store.get_subscription("default", subscription_id)
        return found.subscription.status is Status.DISABLED

    await world.until(is_disabled)
    found = await world.store.get_subscription("default", subscription_id)
    assert found.subscription.disabled_reason is DisabledReason.FAILING

    async def nothing_is_pending() -> bool:
        return not await world.deliveries(status=DeliveryStatus.PENDING)

    await world.until(nothing_is_pending)
