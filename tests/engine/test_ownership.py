"""Workers that share a database: who sends, what is handed over, and what becomes of the lost."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from tests.support.cluster_world import ALL, Worker, in_database, worker
from tests.support.postgres_server import Databases
from tests.support.receiver import Receiver, Reply
from tidings.core import limits
from tidings.core.delivery import DeliveryStatus
from tidings.core.subscription import Status


@pytest.fixture(name="url")
def shared_database(postgres_url: str) -> str:
    return postgres_url


async def owning_all(one: Worker) -> None:
    await one.until(lambda: len(one.shards) == ALL)


async def sharing_fairly(one: Worker, other: Worker) -> None:
    await one.until(lambda: len(one.shards) == len(other.shards) == ALL // 2)
    assert one.shards | other.shards == set(range(ALL))


def got(receiver: Receiver) -> Counter[tuple[str, str]]:
    return Counter((one.path, one.event_id) for one in receiver.received)


async def all_delivered(one: Worker, count: int) -> bool:
    return len(await one.deliveries(status=DeliveryStatus.DELIVERED)) == count


async def test_a_lonely_worker_owns_everything_and_sends(url: str, receiver: Receiver) -> None:
    async with worker(url) as one:
        await one.subscribe(f"{receiver.url}/in")
        await owning_all(one)
        await one.publish(5)
        await one.until(lambda: all_delivered(one, 5))
        assert one.owner.take_overs == 0
        assert one.owner.holds()
        assert 0 < one.owner.lease_age_seconds < limits.LEASE_MS / 1_000
    left = await in_database(url, "SELECT count(*) FROM worker")
    assert left == [(0,)]
    owned = await in_database(url, "SELECT count(owner) FROM shard")
    assert owned == [(0,)]


async def test_what_was_unfinished_is_taken_up_by_whoever_comes(
    url: str, receiver: Receiver
) -> None:
    async with worker(url) as one:
        await owning_all(one)
        await one.leave()
        for number in range(4):
            await one.subscribe(f"{receiver.url}/{number}")
        await one.publish(10)
        assert receiver.received == []
        async with worker(url) as other:
            await other.until(lambda: all_delivered(other, 40))
    assert set(got(receiver).values()) == {1}


async def test_two_workers_share_and_everything_is_sent_once_wherever_it_was_published(
    url: str, receiver: Receiver
) -> None:
    async with worker(url) as one, worker(url) as other:
        await sharing_fairly(one, other)
        subscriptions = [await one.subscribe(f"{receiver.url}/{number}") for number in range(12)]
        assert {one.sends_to(each.subscription_id) for each in subscriptions} == {True, False}
        for _ in range(5):
            await one.publish(2)
            await other.publish(2)
        await one.until(lambda: all_delivered(one, 240))
        assert len(receiver.received) == 240
        assert set(got(receiver).values()) == {1}
        assert [one.engine._is_first(), other.engine._is_first()].count(True) == 1


async def test_a_worker_that_leaves_hands_over_and_nothing_is_lost_or_sent_twice(
    url: str, receiver: Receiver
) -> None:
    receiver.answer = lambda _: Reply(after_seconds=0.05)
    async with worker(url) as one, worker(url) as other:
        await sharing_fairly(one, other)
        for number in range(8):
            await one.subscribe(f"{receiver.url}/{number}", ordering_enabled=True)
        publishing = asyncio.create_task(publish_for_long(one, 60))
        await one.until(lambda: len(receiver.received) > 50)
        await other.leave()
        assert other.shards == set()
        await owning_all(one)
        assert one.owner.take_overs == 0
        await publishing
        await one.until(lambda: all_delivered(one, 480))
    assert len(receiver.received) == 480


async def publish_for_long(one: Worker, count: int) -> None:
    for _ in range(count):
        await one.publish(1)
        await asyncio.sleep(0.005)


async def test_a_request_that_hangs_is_cut_at_the_hand_over_and_due_after_its_deadline(
    url: str, receiver: Receiver
) -> None:
    path = receiver.script("/hangs", Reply(after_seconds=40), 200)
    async with worker(url) as one:
        await owning_all(one)
        await one.subscribe(path, timeout_seconds=20)
        await one.publish(1)
        await one.until(lambda: len(receiver.received) == 1)
        began_ms = one.clock.now_ms()
        await one.leave()
        (delivery,) = await one.deliveries(status=DeliveryStatus.PENDING)
        assert delivery.attempt_count == 0
        assert delivery.next_attempt_at_ms is not None
        assert 15_000 < delivery.next_attempt_at_ms - began_ms < 25_000
        async with worker(url) as other:
            await owning_all(other)
            await other.jump(25_000)
            await other.until(lambda: all_delivered(other, 1))
    assert len(receiver.received) == 2


async def test_a_worker_whose_session_was_ended_writes_nothing_and_begins_anew(
    url: str, receiver: Receiver
) -> None:
    path = receiver.script("/slow", Reply(after_seconds=40), 200)
    async with worker(url) as one:
        await owning_all(one)
        await one.subscribe(path)
        await one.publish(1)
        await one.until(lambda: len(receiver.received) == 1)
        session = one.session
        await in_database(url, "DELETE FROM worker", "SELECT 1")
        await one.until(lambda: one.session != session and len(one.shards) == ALL)
        await one.until(lambda: all_delivered(one, 1))
        (delivery,) = await one.deliveries()
        # What the lost session's request came to was never put down.
        assert delivery.attempt_count == 1
        assert len(receiver.received) == 2
        assert one.owner.take_overs == ALL


async def test_shards_of_a_dead_worker_are_taken_over_and_ordered_endpoints_wait(
    url: str, receiver: Receiver
) -> None:
    async with worker(url) as one, worker(url) as other:
        await sharing_fairly(one, other)
        ordered = await other.subscribed(
            f"{receiver.url}/ordered", "ordered", ordering_enabled=True
        )
        plain = await other.subscribed(f"{receiver.url}/plain", "plain")
        await other.die()
        for subscription in (ordered, plain):
            await one.publish(1, event_type=subscription.event_type.replace("*", "one"))
        await in_database(
            url,
            f"UPDATE worker SET expires_at = clock_timestamp() - interval '1 s'"
            f" WHERE session = '{other.session}'",
            "SELECT 1",
        )
        await one.pass_leases()
        await owning_all(one)
        assert one.owner.take_overs == ALL // 2
        await one.until(lambda: receiver.at("/plain"))
        scheduler = one.engine.dispatcher.scheduler
        endpoint = scheduler._roster.endpoints[ordered.subscription_id]
        await one.until(lambda: endpoint.ready_rows == 1)
        assert endpoint.waits_until_ms() > one.clock.now_ms()
        assert receiver.at("/ordered") == []
        await one.jump((limits.TIMEOUT_SECONDS_MAX + 2) * 1_000)

        async def is_delivered() -> bool:
            found = await one.deliveries(subscription_id=ordered.subscription_id)
            return [each.status for each in found] == [DeliveryStatus.DELIVERED]

        await one.until(is_delivered)


async def test_the_wait_for_a_lost_owner_goes_on_when_its_shards_are_handed_on(
    url: str, receiver: Receiver
) -> None:
    async with worker(url) as one:
        await owning_all(one)
        ordered = await one.subscribed(f"{receiver.url}/ordered", "ordered", ordering_enabled=True)
        await one.die()
        await one.publish(1, event_type=ordered.event_type.replace("*", "one"))
        await in_database(url, "DELETE FROM worker", "SELECT 1")
        async with worker(url) as heir:
            await owning_all(heir)
            assert heir.owner.take_overs == ALL
            await heir.leave()
        async with worker(url) as last:
            await owning_all(last)
            assert last.owner.take_overs == 0
            scheduler = last.engine.dispatcher.scheduler
            endpoint = scheduler._roster.endpoints[ordered.subscription_id]
            await last.until(lambda: endpoint.ready_rows == 1)
            assert endpoint.waits_until_ms() > last.clock.now_ms()
            assert receiver.at("/ordered") == []
            await last.jump(limits.LOST_OWNER_SILENCE_MS)
            await last.until(lambda: all_delivered(last, 1))


async def test_nothing_is_sent_when_the_lease_is_nearly_over_until_it_is_renewed(
    url: str, receiver: Receiver
) -> None:
    async with worker(url) as one:
        await owning_all(one)
        await one.subscribe(f"{receiver.url}/in")
        assert one.owner.owns(0)
        one.clock.boot_ahead_ms += limits.LEASE_MS - limits.LEASE_MARGIN_MS
        assert not one.owner.holds()
        assert not one.owner.owns(0)
        one.engine.dispatcher._pump()
        await one.publish(1)
        one.owner._changed.set()
        await one.until(one.owner.holds)
        await one.until(lambda: all_delivered(one, 1))


async def test_an_owner_begins_with_the_health_that_another_has_stored(
    url: str, receiver: Receiver
) -> None:
    path = receiver.script("/in", Reply(503, {"retry-after": "60"}))
    async with worker(url) as one:
        await owning_all(one)
        subscription = await one.subscribe(path)
        await one.publish(1)
        scheduler = one.engine.dispatcher.scheduler
        await one.until(
            lambda: scheduler.health_of(subscription.subscription_id).held_until_ms is not None
        )
        health = scheduler.health_of(subscription.subscription_id)
        await one.leave()
        async with worker(url) as other:
            await owning_all(other)
            found = other.engine.dispatcher.scheduler.health_of(subscription.subscription_id)
            assert found.held_until_ms == health.held_until_ms


async def test_a_pause_that_one_worker_writes_holds_at_the_other(
    url: str, receiver: Receiver
) -> None:
    async with worker(url) as one, worker(url) as other:
        await sharing_fairly(one, other)
        subscription = await other.subscribed(f"{receiver.url}/in", "kind")
        subscription_id = subscription.subscription_id
        await one.store.change_subscription(
            "default", subscription_id, lambda old: replace(old, status=Status.PAUSED)
        )
        scheduler = other.engine.dispatcher.scheduler

        def is_paused() -> bool:
            found = scheduler.subscription(subscription_id)
            return found is not None and found.status is Status.PAUSED

        await other.until(is_paused)
        await one.publish(1, event_type=subscription.event_type.replace("*", "one"))
        await one.store.change_subscription(
            "default", subscription_id, lambda old: replace(old, status=Status.ACTIVE)
        )
        await one.until(lambda: all_delivered(one, 1))


async def test_a_worker_that_cannot_reach_the_database_stops_all_the_same(
    url: str, postgres_server: Databases
) -> None:
    async with worker(url) as one:
        await owning_all(one)
        await asyncio.to_thread(lock_out, postgres_server, url)
        await one.engine.stop(timeout_seconds=0.5)
        one.is_dead = True
        assert one.shards == set()


async def test_after_an_outage_everybody_keeps_what_was_theirs(
    url: str, postgres_server: Databases, receiver: Receiver
) -> None:
    async with worker(url) as one, worker(url) as other:
        await sharing_fairly(one, other)
        owned, sessions = one.shards, (one.session, other.session)
        await asyncio.to_thread(lock_out, postgres_server, url)
        for each in (one, other):
            each.clock.boot_ahead_ms += limits.LEASE_MS
        assert not one.owner.holds()
        await asyncio.to_thread(let_in, postgres_server, url)
        await one.until(lambda: one.owner.holds() and other.owner.holds())
        assert (one.session, other.session) == sessions
        assert one.shards == owned
        await one.subscribe(f"{receiver.url}/in")
        await one.publish(3)
        await one.until(lambda: all_delivered(one, 3))
        assert one.owner.take_overs == other.owner.take_overs == 0


def lock_out(server: Databases, url: str) -> None:
    """Break all connections to a database, and let nobody connect."""
    name = url.rpartition("/")[2]
    server.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def let_in(server: Databases, url: str) -> None:
    """Let everybody connect again."""
    server.run(f"ALTER DATABASE {url.rpartition('/')[2]} ALLOW_CONNECTIONS true")
