"""What was accepted stands, and what was not is never said to be, however the database fails."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.cutting_proxy import CuttingProxy, Where, cutting_proxy
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres_nodes import published, rows_there
from tests.support.postgres_server import Installation, PostgresServer, running_server
from tests.support.server import Server
from tests.support.stores import SEALING_KEY, open_postgres_store
from tests.support.values import NOW_MS, TENANT, a_result, a_subscription, an_event
from tidings.core.delivery import DeliveryStatus, Turn, ending_of
from tidings.core.event import Accepted, NewEvent
from tidings.core.limits import SHARDS
from tidings.core.subscription import Change, turned
from tidings.ports.records import DeliveryFilter
from tidings.ports.store import Recorded, StoreUnavailable
from tidings.storage.faults import CommitUnknown
from tidings.storage.postgres import PostgresStore

DELIVERED = ending_of(Turn.ATTEMPT_DELIVERED)
RECOVERY_SECONDS = 120
"""A server that starts anew takes a second, and far longer on a machine that has much to do."""
ENDS = (
    "SELECT event_id, count(delivery.seq), count(finished_at_ms) FROM event"
    " LEFT JOIN delivery ON delivery.event_seq = event.seq"
    " LEFT JOIN finished_delivery ON finished_delivery.event_seq = event.seq"
    " WHERE about IS NULL GROUP BY event_id"
)


@pytest.fixture
async def proxy(postgres_url: str) -> AsyncIterator[CuttingProxy]:
    async with cutting_proxy(postgres_url) as one:
        yield one


# The connection breaks around a COMMIT.


@pytest.mark.parametrize("refused", [0, 1, 2])
@pytest.mark.parametrize("where", ["before", "after"])
async def test_an_event_is_accepted_once_where_its_commit_was_cut(
    proxy: CuttingProxy, postgres_url: str, where: Where, refused: int
) -> None:
    async with open_postgres_store(proxy.url) as store:
        await store.create_subscription(a_subscription(), quota=9)
        events = [an_event(), an_event()]
        proxy.cut_next_commit(where, then_refuse=refused)
        answers = await store.accept_events(events, now_ms=NOW_MS)
        assert (proxy.cuts, proxy.refused) == (1, refused)
        for event, answer in zip(events, answers, strict=True):
            assert isinstance(answer, Accepted)
            assert (answer.event_id, answer.deliveries) == (event.event_id, 1)
            # What stood before it was looked up is found, and said to be.
            assert answer.is_repeat == (where == "after")
        ends = {tuple(row) for row in await rows_there(postgres_url, ENDS)}
        assert ends == {(event.event_id, 1, 0) for event in events}


@pytest.mark.parametrize("where", ["before", "after"])
async def test_a_result_whose_commit_was_cut_is_recorded_once_when_it_comes_again(
    proxy: CuttingProxy, where: Where
) -> None:
    async with open_postgres_store(proxy.url) as store:
        await store.create_subscription(a_subscription(), quota=9)
        (row,) = await published(store)
        result = a_result(row, DELIVERED)
        proxy.cut_next_commit(where)
        with pytest.raises(CommitUnknown):
            await store.record_results([result])
        (again,) = await store.record_results([result])
        # Whether it was recorded now or before, nobody else has ended it.
        assert again == Recorded(applied=True) or where == "after"
        found = await store.get_delivery(TENANT, row.delivery_id)
        assert (found.status, found.attempt_count) == (DeliveryStatus.DELIVERED, 1)
        assert await store.list_attempts(row.delivery_id) == [result.attempt]


# The server restarts, or another takes over.


class Load:
    """Events and results on a store that fails now and then, and what it said to them."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self.accepted: set[str] = set()
        self.recorded: set[str] = set()
        self.failed = 0
        self.is_over = False

    async def persist(self, do: Callable[[], Any]) -> Any:
        """Do something until the store takes it."""
        async with asyncio.timeout(RECOVERY_SECONDS):
            while True:
                try:
                    return await do()
                except StoreUnavailable:
                    self.failed += 1
                    await asyncio.sleep(0.02)

    async def publish(self, *, gives_up: bool) -> None:
        """Publish until it is over; who gives up never brings an event twice."""
        while not self.is_over:
            event = an_event()
            accept = partial(self._accept, event)
            if not gives_up:
                await self.persist(accept)
                continue
            try:
                await accept()
            except StoreUnavailable:
                self.failed += 1
                await asyncio.sleep(0.02)

    async def record(self) -> None:
        """End what has arrived until it is over."""
        after = 0
        while not self.is_over:
            read = partial(self._store.read_arrivals, shards=range(SHARDS), limit=8)
            arrivals = await self.persist(partial(read, after_seq=after))
            after = arrivals.through_seq
            results = [a_result(row, DELIVERED) for row in arrivals.rows]
            if results:
                await self.persist(partial(self._store.record_results, results))
                self.recorded.update(row.delivery_id for row in arrivals.rows)
            await asyncio.sleep(0.002)

    async def _accept(self, event: NewEvent) -> None:
        (answer,) = await self._store.accept_events([event], now_ms=NOW_MS)
        assert isinstance(answer, Accepted)
        self.accepted.add(event.event_id)

    async def await_accepted(self, further: int) -> None:
        """Wait until so many further events were accepted."""
        wanted = len(self.accepted) + further
        async with asyncio.timeout(RECOVERY_SECONDS):
            while len(self.accepted) < wanted:  # noqa: ASYNC110 - the test is the one who waits
                await asyncio.sleep(0.01)


@asynccontextmanager
async def loaded(url: str) -> AsyncIterator[Load]:
    """A store under load; at the end everything that it said is compared with what there is."""
    async with open_postgres_store(url) as store:
        await store.create_subscription(a_subscription(), quota=9)
        load = Load(store)
        tasks = [
            asyncio.create_task(one)
            for one in (
                load.publish(gives_up=True),
                load.publish(gives_up=False),
                load.publish(gives_up=False),
                load.record(),
            )
        ]
        await load.await_accepted(20)
        yield load
        await load.await_accepted(20)
        load.is_over = True
        await asyncio.gather(*tasks)
        await store.check()
        ends = {row[0]: tuple(row[1:]) for row in await rows_there(url, ENDS)}
        assert load.accepted <= ends.keys()
        assert set(ends.values()) <= {(1, 0), (0, 1)}
        sql = "SELECT delivery_id FROM finished_delivery WHERE attempt_count = 1"
        finished = {row[0] for row in await rows_there(url, sql)}
        assert load.recorded <= finished
        attempts = {row[0] for row in await rows_there(url, "SELECT delivery_id FROM attempt")}
        assert attempts == finished


async def test_nothing_is_lost_when_the_server_crashes_under_load(
    postgres_installation: Installation,
) -> None:
    with running_server(postgres_installation) as server:
        async with loaded(server.own_url) as load:
            for how in ("immediate", "fast", "immediate"):
                await asyncio.to_thread(server.restart, how)
                await load.await_accepted(20)
        assert load.failed > 0


def follow(server: PostgresServer) -> None:
    """Have commits wait for the standby."""
    server.run("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
    server.reload()


async def until(url: str, sql: str) -> Any:
    """Wait until a query answers something other than NULL or nothing; answers it."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(RECOVERY_SECONDS):
            while (found := await connection.fetchval(sql)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await connection.close()
    return found


SYNCHRONOUS = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid <> {but}"


async def test_nothing_is_lost_when_a_synchronous_standby_takes_over(
    postgres_installation: Installation,
) -> None:
    with running_server(postgres_installation) as server, server.standby() as standby:
        follow(server)
        await until(server.own_url, SYNCHRONOUS)
        hosts = f"127.0.0.1:{server.port},127.0.0.1:{standby.port}"
        async with loaded(f"postgresql://tidings@{hosts}/postgres") as load:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(standby.promote)
        assert load.failed > 0


async def test_no_event_is_accepted_that_the_standby_does_not_have(
    postgres_installation: Installation,
) -> None:
    with running_server(postgres_installation) as server, server.standby() as standby:
        async with open_postgres_store(server.own_url) as store:
            follow(server)
            await until(server.own_url, SYNCHRONOUS)
            await asyncio.to_thread(standby.stop)
            accepting = asyncio.create_task(store.accept_events([an_event()], now_ms=NOW_MS))
            first = await until(server.own_url, WAITING.format(but=0))
            # It has committed here, but nobody may rely on that yet.
            server.run(f"SELECT pg_terminate_backend({first})")
            await until(server.own_url, WAITING.format(but=first))
            assert not accepting.done()
            await asyncio.to_thread(standby.start)
            (answer,) = await accepting
        assert isinstance(answer, Accepted)
        assert standby.run("SELECT event_id FROM event")[0][0] == answer.event_id


# Something in between.


async def test_all_goes_well_behind_a_pooler_in_transaction_mode(postgres_url: str) -> None:
    with pgbouncer(postgres_url, pool_size=2) as url:
        async with open_postgres_store(url) as store, open_postgres_store(url) as other:
            subscription = a_subscription(ordering_enabled=True)
            await store.create_subscription(subscription, quota=9)
            for number in range(5):
                events = [an_event(ordering_key="k") for _ in range(4)]
                publishing = [
                    one.accept_events(events[:2], now_ms=NOW_MS) for one in (store, other)
                ]
                answers = await asyncio.gather(*publishing)
                assert [len(answer) for answer in answers] == [2, 2]
                arrivals = await other.read_arrivals(after_seq=0, shards=range(SHARDS), limit=9)
                rows = arrivals.rows
                assert len(rows) == 2
                results = [a_result(row, DELIVERED) for row in rows]
                recorded = await other.record_results(results)
                assert all(one.applied for one in recorded)
                wanted = DeliveryFilter(TENANT, DeliveryStatus.DELIVERED)
                found = await store.list_deliveries(wanted, before=None, limit=99)
                assert len(found) == 2 * (number + 1)
            disable = partial(turned, change=Change.DISABLE, now_ms=NOW_MS)
            await store.change_subscription(TENANT, subscription.subscription_id, disable)
            (answer,) = await other.accept_events([an_event()], now_ms=NOW_MS)
            assert isinstance(answer, Accepted)
            assert answer.deliveries == 0


# The API meanwhile.


def test_the_api_asks_for_patience_while_the_database_is_away(
    postgres_installation: Installation, tmp_path: Path
) -> None:
    with running_server(postgres_installation) as database:
        key = b64encode(SEALING_KEY).decode()
        server = Server(tmp_path / "data", DATABASE_URL=database.own_url, ENCRYPTION_KEY=key)
        server.start()
        try:
            server.publish(eventId="before")
            for how in ("immediate", "fast"):
                database.stop(how)
                body = {"eventType": "order.shipped", "data": {}, "eventId": f"after-{how}"}
                for _ in range(2):
                    answer = server.client.post("/events", json=body)
                    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
                    assert int(answer.headers["retry-after"]) > 0
                answer = server.client.get("/events/before")
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0
                assert server.client.get("/health/ready").status_code == 503
                assert server.client.get("/health/live").status_code == 200
                database.start()
                server.await_ready()
                server.publish(eventId=f"after-{how}")
            assert {one["eventId"] for one in server.call("GET", "/events")["items"]} == {
                "before",
                "after-immediate",
                "after-fast",
            }
        finally:
            server.client.close()
            server.stop()
