"""What the engine finds out about endpoints is told to those who watch."""

from typing import Any

import msgspec

from tests.support.engine_world import EngineWorld
from tests.support.receiver import Receiver, Reply
from tidings.core.limits import HEALTH_OPENS_AFTER_FAILURES, HEALTH_OPENS_AFTER_MS
from tidings.core.retry import RetryPolicy

DAY_MS = 86_400_000


def told(receiver: Receiver, path: str = "/watcher") -> list[tuple[str, Any]]:
    """Types and data of what a watcher got, in the order of what it tells."""
    bodies = [msgspec.json.decode(one.body) for one in receiver.at(path)]
    bodies.sort(key=lambda body: str(body["occurredAt"]))
    return [(body["eventType"].removeprefix("tidings."), body["data"]) for body in bodies]


async def watch(world: EngineWorld, receiver: Receiver) -> dict[str, int]:
    """A watcher that answers well, beside a subject whose answer can be set."""
    status = {"/subject": 200}
    receiver.answer = lambda one: Reply(status.get(one.path, 200))
    await world.subscribe(f"{receiver.url}/watcher", event_type="tidings.*")
    return status


def failing_days(policy_seconds: float) -> RetryPolicy:
    return RetryPolicy((policy_seconds,) * 20)


async def until_open(world: EngineWorld, subscription_id: str) -> None:
    scheduler = world.engine.dispatcher.scheduler
    await world.publish(HEALTH_OPENS_AFTER_FAILURES)
    await world.until(
        lambda: (
            scheduler.health_of(subscription_id).consecutive_failures >= HEALTH_OPENS_AFTER_FAILURES
        )
    )
    await world.jump(HEALTH_OPENS_AFTER_MS + 1_000)
    await world.publish()
    await world.until(lambda: scheduler.health_of(subscription_id).is_open)


async def test_an_endpoint_that_opens_and_heals_is_told_of_twice(
    world: EngineWorld, receiver: Receiver
) -> None:
    status = await watch(world, receiver)
    status["/subject"] = 500
    subject = await world.subscribe(f"{receiver.url}/subject", retry_policy=failing_days(86_400.0))
    await until_open(world, subject.subscription_id)
    await world.until(lambda: len(told(receiver)) == 2)
    status["/subject"] = 200
    await world.publish()
    await world.jump(60_000)
    await world.until(lambda: len(told(receiver)) == 3)
    names = [name for name, _ in told(receiver)]
    assert names == ["subscription.created", "subscription.failing", "subscription.recovered"]
    healths = [data["subscription"]["health"] for _, data in told(receiver)]
    assert healths == ["healthy", "open", "healthy"]


async def test_days_of_failure_are_told_before_they_disable(
    world: EngineWorld, receiver: Receiver
) -> None:
    status = await watch(world, receiver)
    status["/subject"] = 500
    subject = await world.subscribe(
        f"{receiver.url}/subject", retry_policy=failing_days(DAY_MS / 1_000)
    )
    # One delivery, tried about once a day: too seldom for its endpoint to open.
    await world.publish()
    attempts, is_over = 0, False
    while not is_over:
        attempts += 1

        async def is_recorded(count: int = attempts) -> bool:
            (delivery,) = await world.deliveries(subscription_id=subject.subscription_id)
            return delivery.attempt_count == count

        await world.until(is_recorded)
        found = await world.store.get_subscription("default", subject.subscription_id)
        is_over = not found.subscription.takes_events
        await world.jump(DAY_MS + DAY_MS // 4)
    assert 5 <= attempts < HEALTH_OPENS_AFTER_FAILURES
    await world.until(lambda: len(told(receiver)) == 3)
    assert [name for name, _ in told(receiver)] == [
        "subscription.created",
        "subscription.failing",
        "subscription.disabled",
    ]
    (_, data) = told(receiver)[-1]
    assert data["reason"] == data["subscription"]["disabledReason"] == "failing"


async def test_two_watchers_that_fail_do_not_keep_each_other_busy(
    world: EngineWorld, receiver: Receiver
) -> None:
    receiver.answer = lambda _: Reply(500)
    for name in ("one", "other"):
        await world.subscribe(
            f"{receiver.url}/{name}", event_type="tidings.*", retry_policy=RetryPolicy(())
        )
    await world.subscribe(f"{receiver.url}/subject", retry_policy=RetryPolicy(()))
    await world.publish()

    async def everything_has_ended() -> bool:
        listed = await world.deliveries()
        return len(listed) == 6 and all(one.finished_at_ms for one in listed)

    # The creation of `other` to one, of the subject to both, the order, its dead letter to both.
    await world.until(everything_has_ended)
    assert len(receiver.received) == 6
