"""What others commit reaches the owner: new rows, wishes, cancellations, replays."""

from dataclasses import replace

import pytest

from tests.support.cluster_world import ALL, Worker, worker
from tests.support.engine_world import EngineWorld
from tests.support.receiver import Receiver
from tests.support.stores import open_postgres_store
from tests.support.values import an_event
from tidings.core.delivery import DeliveryStatus
from tidings.core.retry import RetryPolicy
from tidings.core.subscription import DisabledReason, Status, disabled
from tidings.ports.cluster import Arrivals
from tidings.ports.records import DeliveryRecord, Replay, ReplayScope
from tidings.ports.store import StoreUnavailable
from tidings.storage.postgres import PostgresStore

LATER = RetryPolicy((3_600.0,) * 5)


@pytest.fixture(name="url")
def shared_database(postgres_url: str) -> str:
    return postgres_url


async def accept(store: PostgresStore, one: Worker, ordering_key: str | None = None) -> None:
    """Publish an event by a process that only answers requests: it has no engine."""
    event = an_event(ordering_key=ordering_key)
    await store.accept_events([event], now_ms=one.clock.now_ms())


async def owning_all(one: Worker) -> None:
    await one.until(lambda: len(one.shards) == ALL)


async def one_of(world: EngineWorld, status: DeliveryStatus) -> DeliveryRecord:
    """The only delivery, once it has this status and was tried."""

    async def is_there() -> bool:
        found = await world.deliveries(status=status)
        return len(found) == 1 and found[0].attempt_count > 0

    await world.until(is_there)
    (found,) = await world.deliveries(status=status)
    return found


async def test_what_an_api_process_accepts_is_sent_by_the_owner(
    url: str, receiver: Receiver
) -> None:
    async with worker(url) as one, open_postgres_store(url) as store:
        await owning_all(one)
        await one.subscribe(f"{receiver.url}/in")
        for _ in range(3):
            await accept(store, one)
        await one.until(lambda: len(receiver.received) == 3)


async def test_a_wish_that_an_api_process_took_is_carried_out_by_the_owner(
    url: str, receiver: Receiver
) -> None:
    path = receiver.script("/in", 500, 200)
    async with worker(url) as one, open_postgres_store(url) as store:
        await owning_all(one)
        await one.subscribe(path, retry_policy=LATER)
        await one.publish(1)
        failed = await one_of(one, DeliveryStatus.PENDING)
        await store.retry_delivery("default", failed.delivery_id, now_ms=one.clock.now_ms())
        delivered = await one_of(one, DeliveryStatus.DELIVERED)
        assert delivered.attempt_count == 2


async def test_what_was_cancelled_elsewhere_is_not_sent_again(url: str, receiver: Receiver) -> None:
    path = receiver.script("/in", 500)
    async with worker(url) as one, open_postgres_store(url) as store:
        await owning_all(one)
        await one.subscribe(path, retry_policy=RetryPolicy((30.0,) * 5))
        await one.publish(1)
        failed = await one_of(one, DeliveryStatus.PENDING)
        scheduler = one.engine.dispatcher.scheduler
        await one.until(lambda: scheduler.rows_in_memory == 1)
        await store.cancel_delivery("default", failed.delivery_id, now_ms=one.clock.now_ms())
        await one.until(lambda: scheduler.rows_in_memory == 0)
        await one.jump(40_000)
        await one.publish(1)
        await one.until(lambda: len(receiver.received) == 2)
        assert receiver.received[0].event_id != receiver.received[1].event_id


async def test_the_follower_of_a_head_that_was_cancelled_elsewhere_goes_on(
    url: str, receiver: Receiver
) -> None:
    path = receiver.script("/in", 500)
    async with worker(url) as one, open_postgres_store(url) as store:
        await owning_all(one)
        await one.subscribe(path, retry_policy=LATER, ordering_enabled=True)
        await accept(store, one, "k")
        head = await one_of(one, DeliveryStatus.PENDING)
        await accept(store, one, "k")
        await store.cancel_delivery("default", head.delivery_id, now_ms=one.clock.now_ms())
        delivered = await one_of(one, DeliveryStatus.DELIVERED)
        assert delivered.delivery_id != head.delivery_id


async def test_a_replay_that_was_started_elsewhere_is_carried_out_by_one_owner(
    url: str, receiver: Receiver
) -> None:
    async with (
        worker(url) as one,
        worker(url) as other,
        open_postgres_store(url) as store,
    ):
        await one.until(lambda: len(one.shards) == len(other.shards) == ALL // 2)
        subscription = await one.subscribe(f"{receiver.url}/in")
        subscription_id = subscription.subscription_id

        async def changed(status: Status) -> None:
            await one.store.change_subscription(
                "default", subscription_id, lambda old: replace(old, status=status)
            )

        await changed(Status.PAUSED)
        for _ in range(6):
            await one.publish(200)
        await one.store.change_subscription(
            "default",
            subscription_id,
            lambda old: disabled(old, DisabledReason.OPERATOR, now_ms=one.clock.now_ms()),
        )

        async def are(status: DeliveryStatus) -> bool:
            return len(await one.deliveries(status=status)) == 1_200

        await one.until(lambda: are(DeliveryStatus.DEAD_LETTERED), seconds=30)
        await changed(Status.ACTIVE)
        now_ms = one.clock.now_ms()
        scope = ReplayScope("default", "dead", subscription_id)
        replay = Replay(one.chance.new_id("rpl", now_ms), scope, 1_200, now_ms)
        await store.start_replay(replay)
        await one.until(lambda: are(DeliveryStatus.DELIVERED), seconds=60)
        found = await store.get_replay("default", replay.replay_id)
        assert (found.done, found.finished_at_ms is not None) == (1_200, True)
        assert len(receiver.received) == 1_200


async def test_reads_that_fail_are_repeated_and_miss_nothing(
    url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 3
    read_arrivals = PostgresStore.read_arrivals

    async def failing(store: PostgresStore, **wanted: object) -> Arrivals:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreUnavailable("it is away")
        return await read_arrivals(store, **wanted)  # type: ignore[arg-type]

    async with worker(url) as one:
        await owning_all(one)
        await one.subscribe(f"{receiver.url}/in")
        monkeypatch.setattr(PostgresStore, "read_arrivals", failing)
        await one.until(lambda: failures < 3)
        await one.publish(5)
        await one.until(lambda: len(receiver.received) == 5)
        assert failures == 0
