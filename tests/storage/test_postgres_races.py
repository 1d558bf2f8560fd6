"""Two nodes on one database: what each of them answers holds, whatever the other does meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest

from tests.support.postgres_nodes import Nodes, held_commits, published, rows_there, two_nodes
from tests.support.stores import open_postgres_store
from tests.support.values import NOW_MS, TENANT, a_result, a_subscription, an_event
from tests.support.waiting import eventually
from tidings.core.attempt import Answer
from tidings.core.delivery import DeliveryStatus, Turn, ending_of
from tidings.core.event import Accepted
from tidings.core.limits import SHARDS
from tidings.core.refusals import InvalidState
from tidings.core.subscription import Change, SigningSecret, Status, Subscription, turned
from tidings.ports.records import ApiKey, Replay, ReplayScope
from tidings.ports.store import Committed, Recorded
from tidings.storage.postgres import PostgresStore

DELIVERED = ending_of(Turn.ATTEMPT_DELIVERED)
ERROR = Answer(status_code=500)
ALL_SHARDS = range(SHARDS)


@pytest.fixture
async def nodes(postgres_url: str) -> AsyncIterator[Nodes]:
    async with two_nodes(postgres_url) as both:
        yield both


async def turn(store: PostgresStore, subscription_id: str, change: Change) -> None:
    await store.change_subscription(
        TENANT, subscription_id, partial(turned, change=change, now_ms=NOW_MS)
    )


# Publishing and configuration.


@dataclass
class Turns:
    """When a subscription was asked for each change and answered, and whether it wants events."""

    asked: list[tuple[int, int, bool]] = field(default_factory=list)

    def wanted_throughout(self, began: int, ended: int) -> bool | None:
        """Whether it took events all the time between; None if it changed meanwhile."""
        before = [wants for _, answered, wants in self.asked if answered < began]
        if any(asked < ended and answered > began for asked, answered, _ in self.asked):
            return None
        return bool(before) and before[-1]


CHANGES = (
    (Change.PAUSE, True),
    (Change.RESUME, True),
    (Change.DISABLE, False),
    (Change.RESUME, True),
    (Change.DISABLE, False),
    (Change.RESUME, True),
    (Change.DELETE, False),
)


async def test_an_event_reaches_exactly_who_wanted_events_when_it_was_published(
    nodes: Nodes,
) -> None:
    now = count()
    turns: dict[str, Turns] = {}
    events: dict[str, tuple[int, int, int]] = {}
    is_over = asyncio.Event()

    async def live(store: PostgresStore) -> None:
        one = a_subscription()
        name, own = one.subscription_id, Turns()
        turns[name] = own
        asked = next(now)
        await store.create_subscription(one, quota=99)
        own.asked.append((asked, next(now), True))
        for change, wants in CHANGES:
            # Long enough as it is that each of the four has begun and ended an event.
            seen = len(events)
            await eventually(lambda: len(events) >= seen + 8, seconds=60)  # noqa: B023
            asked = next(now)
            await turn(store, name, change)
            own.asked.append((asked, next(now), wants))

    async def live_often(store: PostgresStore) -> None:
        for _ in range(2):
            await asyncio.gather(live(store), live(store))

    async def publish(store: PostgresStore) -> None:
        while not is_over.is_set():
            event, began = an_event(), next(now)
            (answer,) = await store.accept_events([event], now_ms=NOW_MS)
            assert isinstance(answer, Accepted)
            events[event.event_id] = (began, next(now), answer.deliveries)

    publishing = [asyncio.create_task(publish(store)) for store in (nodes.first, nodes.second) * 2]
    await asyncio.gather(live_often(nodes.first), live_often(nodes.second))
    is_over.set()
    await asyncio.gather(*publishing)

    sql = "SELECT event_id, subscription_id FROM delivery JOIN event ON event.seq = event_seq"
    reached = {tuple(row) for row in await rows_there(nodes.url, sql)}
    judged = 0
    for event_id, (began, ended, deliveries) in events.items():
        assert sum(one == event_id for one, _ in reached) == deliveries
        for name, own in turns.items():
            wanted = own.wanted_throughout(began, ended)
            if wanted is not None:
                judged += wanted
                assert ((event_id, name) in reached) == wanted
    assert judged > 20


async def test_a_replay_beside_publishing_begins_each_delivery_once(nodes: Nodes) -> None:
    missed = [an_event() for _ in range(40)]
    await nodes.first.accept_events(missed, now_ms=NOW_MS)
    one = a_subscription()
    await nodes.first.create_subscription(one, quota=9)
    scope = ReplayScope(TENANT, "missed", one.subscription_id)
    await nodes.first.start_replay(Replay("rpl_1", scope, 40, NOW_MS))
    fresh = [an_event() for _ in range(40)]

    async def replay_all() -> None:
        while True:
            replay = await nodes.first.advance_replay("rpl_1", now_ms=NOW_MS, limit=3)
            if replay.finished_at_ms is not None:
                return

    async def replay_each() -> None:
        for event in missed:
            await nodes.second.replay_event(
                TENANT, event.event_id, subscription_id=None, now_ms=NOW_MS
            )

    async def publish() -> None:
        for event in fresh:
            await nodes.second.accept_events([event], now_ms=NOW_MS)

    await asyncio.gather(replay_all(), replay_each(), publish())
    sql = "SELECT event_id FROM delivery JOIN event ON event.seq = event_seq"
    begun = [row[0] for row in await rows_there(nodes.url, sql)]
    assert sorted(begun) == sorted(event.event_id for event in (*missed, *fresh))


# Who ends a delivery.


async def test_a_delivery_that_is_cancelled_beside_its_result_ends_once(nodes: Nodes) -> None:
    await nodes.first.create_subscription(a_subscription(), quota=9)
    rows = await published(nodes.first, 60)

    async def cancel(delivery_id: str) -> bool:
        try:
            await nodes.first.cancel_delivery(TENANT, delivery_id, now_ms=NOW_MS)
        except InvalidState:
            return False
        return True

    for number, row in enumerate(rows):
        ending = None if number % 3 == 0 else DELIVERED
        result = a_result(row, ending, answer=None if ending else ERROR, due_at_ms=NOW_MS + 9)
        (recorded,), is_cancelled = await asyncio.gather(
            nodes.second.record_results([result]), cancel(row.delivery_id)
        )
        found = await nodes.second.get_delivery(TENANT, row.delivery_id)
        assert found.status is (
            DeliveryStatus.CANCELLED if is_cancelled else DeliveryStatus.DELIVERED
        )
        assert found.attempt_count == 1
        assert await nodes.first.list_attempts(row.delivery_id) == [result.attempt]
        if ending is not None:
            assert recorded == Recorded(applied=not is_cancelled)
    assert await rows_there(nodes.url, "SELECT seq FROM delivery") == []


async def test_a_cancelled_delivery_counts_the_attempt_that_came_in_between(nodes: Nodes) -> None:
    await nodes.first.create_subscription(a_subscription(), quota=9)
    (row,) = await published(nodes.first)
    result = a_result(row, None, answer=ERROR, due_at_ms=NOW_MS + 9)
    async with held_commits(nodes.url) as held:
        recording = asyncio.create_task(nodes.second.record_results([result]))
        await held.await_waiting(1)
        cancelling = asyncio.create_task(
            nodes.first.cancel_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)
        )
        await held.await_waiting(2)
        await held.let_go()
        assert await recording == [Recorded(applied=True)]
        await cancelling
    found = await nodes.first.get_delivery(TENANT, row.delivery_id)
    assert (found.status, found.attempt_count) == (DeliveryStatus.CANCELLED, 1)


async def test_an_attempt_asked_for_beside_a_failed_one_keeps_its_place(nodes: Nodes) -> None:
    await nodes.first.create_subscription(a_subscription(), quota=9)
    (row,) = await published(nodes.first)
    result = a_result(row, None, answer=ERROR, due_at_ms=NOW_MS + 60_000)
    async with held_commits(nodes.url) as held:
        recording = asyncio.create_task(nodes.second.record_results([result]))
        await held.await_waiting(1)
        asking = asyncio.create_task(
            nodes.first.retry_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)
        )
        await held.await_waiting(2)
        await held.let_go()
        assert await recording == [Recorded(applied=True)]
        asked = await asking
    # The schedule goes on when the attempt that was asked for has failed, too.
    wanted = msgspec.structs.replace(
        result.delivery, due_at_ms=NOW_MS, kept_due_at_ms=NOW_MS + 60_000
    )
    assert asked == wanted
    arrivals = await nodes.second.read_arrivals(after_seq=row.seq, shards=ALL_SHARDS, limit=9)
    assert arrivals.changed == [wanted]


async def test_an_attempt_asked_for_beside_the_last_one_begins_a_new_round(nodes: Nodes) -> None:
    await nodes.first.create_subscription(a_subscription(), quota=9)
    (row,) = await published(nodes.first)
    async with held_commits(nodes.url) as held:
        recording = asyncio.create_task(nodes.second.record_results([a_result(row, DELIVERED)]))
        await held.await_waiting(1)
        asking = asyncio.create_task(
            nodes.first.retry_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)
        )
        await held.await_waiting(2)
        await held.let_go()
        assert await recording == [Recorded(applied=True)]
        asked = await asking
    assert (asked.round, asked.attempt_count, asked.is_single) == (row.round + 1, 1, True)
    arrivals = await nodes.second.read_arrivals(after_seq=row.seq, shards=ALL_SHARDS, limit=9)
    assert arrivals.rows == [asked]
    found = await nodes.first.get_delivery(TENANT, row.delivery_id)
    assert (found.status, found.replay_count) == (DeliveryStatus.PENDING, row.round + 1)


# What one node hears of the other.


async def test_a_node_hears_of_every_change_of_the_configuration(nodes: Nodes) -> None:
    heard: list[Committed] = []
    nodes.second.on_commit(heard.append)
    key = ApiKey("key_1", b"h" * 32, "one", ("admin",), TENANT, NOW_MS)
    await nodes.first.create_api_key(key)
    one = a_subscription()
    name = one.subscription_id
    await nodes.first.create_subscription(one, quota=9)

    def last() -> Subscription | None:
        found = [one for changes in heard for one in changes.subscriptions]
        return found[-1] if found else None

    def has_status(status: Status) -> bool:
        found = last()
        return found is not None and found.status is status

    await eventually(lambda: last() == one)
    assert [made for changes in heard for made in changes.keys] == [key]
    await nodes.first.revoke_api_key(TENANT, "key_1", now_ms=NOW_MS)
    await eventually(lambda: any("key_1" in changes.revoked_key_ids for changes in heard))
    await turn(nodes.first, name, Change.PAUSE)
    await eventually(lambda: has_status(Status.PAUSED))
    rotated = (SigningSecret("whsec_" + "QUJD" * 8, NOW_MS),)

    def rotate(old: Subscription) -> Subscription:
        return replace(old, secrets=rotated, version=old.version + 1)

    await nodes.first.change_subscription(TENANT, name, rotate)
    await eventually(lambda: getattr(last(), "secrets", ()) == rotated)
    await turn(nodes.first, name, Change.DELETE)
    await eventually(lambda: has_status(Status.DELETED))


# Order.


async def test_a_reader_behind_the_order_misses_no_row_of_either_node(nodes: Nodes) -> None:
    await nodes.first.create_subscription(a_subscription(), quota=9)
    rounds, at_once, at_a_time = 25, 3, 7
    is_over = asyncio.Event()
    seen: list[int] = []
    ended: list[int] = []

    async def publish(store: PostgresStore) -> None:
        for number in range(rounds):
            events = [an_event() for _ in range(at_once)]
            await store.accept_events(events, now_ms=NOW_MS + number)

    async def read() -> None:
        after, is_last = 0, False
        while not is_last:
            is_last = is_over.is_set()
            arrivals = await nodes.second.read_arrivals(
                after_seq=after, shards=ALL_SHARDS, limit=at_a_time
            )
            seen.extend(row.seq for row in arrivals.rows)
            ended.extend(row.seq for row in arrivals.ended)
            is_last = is_last and arrivals.through_seq == after
            after = arrivals.through_seq
            for row in arrivals.rows[:1]:
                await nodes.first.cancel_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)

    reading = asyncio.create_task(read())
    await asyncio.gather(*(publish(store) for store in (nodes.first, nodes.second) * 2))
    is_over.set()
    await reading
    assert len(seen) == 4 * rounds * at_once
    assert seen == sorted(set(seen))
    left = [row[0] for row in await rows_there(nodes.url, "SELECT seq FROM delivery")]
    assert sorted(left + ended) == seen


async def test_results_that_lose_against_another_transaction_are_recorded_anew(
    postgres_url: str,
) -> None:
    # Whoever waits looks for a circle once, after so long: it must be closed by then.
    name = urlsplit(postgres_url).path[1:]
    await rows_there(postgres_url, f"ALTER DATABASE {name} SET deadlock_timeout = '4s'")
    async with open_postgres_store(postgres_url) as node:
        await node.create_subscription(a_subscription(), quota=9)
        ends, waits = await published(node, 2)
        results = [a_result(ends, DELIVERED), a_result(waits, None, answer=ERROR, due_at_ms=NOW_MS)]
        other = await asyncpg.connect(postgres_url)
        lock = "SELECT 1 FROM delivery WHERE seq = $1 FOR UPDATE"
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        # The other one waits for longer, so that it is the node's transaction that is undone.
        await other.execute("SET deadlock_timeout = '60s'")
        async with other.transaction():
            await other.execute(lock, waits.seq)
            recording = asyncio.create_task(node.record_results(results))
            async with asyncio.timeout(30):
                while not await other.fetchval(waiting):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.005)
            await other.execute(lock, ends.seq)
        await other.close()
        assert await recording == [Recorded(applied=True), Recorded(applied=True)]
    log = await rows_there(
        postgres_url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    assert log[0][0] == 1
