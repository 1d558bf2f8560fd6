"""The world fails: full disks, files that cannot be written, callers that go away, bugs."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from tests.contracts.store.conftest import Filled
from tests.support.stores import DATABASE_NAME, open_sqlite_store
from tests.support.values import NOW_MS, TENANT, a_result, a_subscription, an_event
from tidings.core import limits
from tidings.core.delivery import Turn, ending_of
from tidings.core.event import Accepted
from tidings.core.refusals import QuotaExceeded, Unavailable
from tidings.core.subscription import Status, Subscription
from tidings.ports.records import ApiKey, Replay, ReplayScope
from tidings.ports.store import Committed, StoreFull, StoreUnavailable
from tidings.storage.sql import threads
from tidings.storage.sql.store import SqlStore
from tidings.storage.sql.transaction import Transaction
from tidings.storage.sqlite import checkpointer

PLENTY = 1_073_741_823
LARGE = b'{"text":"%b"}' % (b"x" * 50_000)


async def limit_pages(store: SqlStore, more: int) -> None:
    """Let the database think that the disk holds only so many pages more."""

    def write(tx: Transaction) -> None:
        (pages,) = tx.db.execute("PRAGMA page_count").fetchone()
        tx.db.execute(f"PRAGMA max_page_count = {min(pages + more, PLENTY)}").fetchall()

    await store.writer.run(write)


async def test_a_full_disk_is_told_changes_nothing_and_is_waited_out(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path) as store:
        filled = Filled(store)
        await filled.subscribe()
        (row,) = await filled.publish()
        await limit_pages(store, 0)
        told = len(filled.told)
        for _ in range(3):
            with pytest.raises(StoreUnavailable) as caught:
                await store.accept_events([an_event(event_id="evt_big", data=LARGE)], now_ms=NOW_MS)
            assert isinstance(caught.value.__cause__, apsw.FullError)
        assert len(filled.told) == told
        assert len(await filled.listed()) == 1
        assert await store.read_bodies([row.event_seq])
        await limit_pages(store, PLENTY)
        (later,) = await filled.publish(event_id="evt_big", data=LARGE)
        assert later.seq > row.seq
        assert len(await filled.listed()) == 2


async def test_a_full_disk_leaves_no_part_of_a_crowd_of_writes_half_done(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path) as store:
        filled = Filled(store)
        await filled.subscribe()
        await limit_pages(store, 40)
        events = [an_event(event_id=f"evt_n{number}", data=LARGE) for number in range(30)]

        async def publish_all() -> list[object]:
            return await asyncio.gather(
                *(store.accept_events([event], now_ms=NOW_MS) for event in events),
                return_exceptions=True,
            )

        answers = await publish_all()
        failed = [answer for answer in answers if isinstance(answer, StoreUnavailable)]
        accepted = [answer for answer in answers if isinstance(answer, list)]
        assert failed
        assert len(failed) + len(accepted) == len(events)
        assert len(await filled.listed()) == len(accepted)
        arrived = [row for changes in filled.told for row in changes.arrived]
        assert len(arrived) == len(accepted)
        await limit_pages(store, PLENTY)
        assert all(isinstance(answer, list) for answer in await publish_all())
        assert len(await filled.listed()) == len(events)


async def test_a_subscription_that_could_not_be_stored_gets_no_events(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path) as store:
        filled = Filled(store)
        kept = await filled.subscribe()
        await limit_pages(store, 0)
        answers = await asyncio.gather(
            *(
                store.create_subscription(a_subscription(description="x" * 900), quota=1_000)
                for _ in range(100)
            ),
            return_exceptions=True,
        )
        assert any(isinstance(answer, StoreUnavailable) for answer in answers)
        await limit_pages(store, PLENTY)
        stored = {one.subscription.subscription_id for one in await store.load_subscriptions()}
        rows = await filled.publish()
        assert {row.subscription_id for row in rows} == stored
        assert kept.subscription_id in stored


async def test_a_database_that_cannot_be_written_is_unavailable_but_can_be_read(
    tmp_path: Path,
) -> None:
    async with open_sqlite_store(tmp_path) as store:
        filled = Filled(store)
        await filled.publish(event_id="evt_1")

        def lose_the_right_to_write(tx: Transaction) -> None:
            tx.db.execute("PRAGMA query_only = 1")
            tx.db.execute("DELETE FROM event")

        with pytest.raises(StoreUnavailable):
            await store.writer.run(lose_the_right_to_write)
        with pytest.raises(StoreUnavailable):
            await store.accept_events([an_event()], now_ms=NOW_MS)
        with pytest.raises(StoreUnavailable):
            await store.check()
        assert (await store.get_event(TENANT, "evt_1")).event_id == "evt_1"
        assert isinstance(store.writer, threads.WriterThread)
        store.writer._transactions._db.execute("PRAGMA query_only = 0")
        await store.check()


async def test_a_nearly_full_disk_keeps_its_rest_for_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_sqlite_store(tmp_path) as store:
        filled = Filled(store)
        await filled.subscribe()
        (row,) = await filled.publish()
        monkeypatch.setattr(limits, "DISK_RESERVE_BYTES", 1 << 60)
        with pytest.raises(StoreUnavailable):
            await store.accept_events([an_event()], now_ms=NOW_MS)
        result = a_result(row, ending_of(Turn.ATTEMPT_DELIVERED))
        (recorded,) = await store.record_results([result])
        assert recorded.applied


async def test_a_nearly_full_disk_begins_nothing_new_but_lets_people_end_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_sqlite_store(tmp_path) as store:
        filled = Filled(store)
        name = (await filled.subscribe()).subscription_id
        (row,) = await filled.publish(event_id="evt_1")
        monkeypatch.setattr(store, "free_bytes", lambda: limits.DISK_RESERVE_BYTES - 1)
        key = ApiKey("key_1", b"h" * 32, "one", (), None, NOW_MS)
        replay = Replay("rpl_1", ReplayScope(TENANT, "dead"), 0, NOW_MS)
        for begun in (
            store.create_subscription(a_subscription(), quota=9),
            store.create_api_key(key),
            store.note_secrets_read(TENANT, name, now_ms=NOW_MS, by="key_1"),
            store.replay_event(TENANT, "evt_1", subscription_id=None, now_ms=NOW_MS),
            store.start_replay(replay),
            store.advance_replay("rpl_1", now_ms=NOW_MS, limit=1),
        ):
            with pytest.raises(StoreFull):
                await begun

        def set_status(status: Status) -> Callable[[Subscription], Subscription]:
            return lambda old: replace(old, status=status, version=old.version + 1)

        def describe(old: Subscription) -> Subscription:
            return replace(old, description="a", version=old.version + 1)

        with pytest.raises(Unavailable):
            await store.change_subscription(TENANT, name, describe)
        await store.change_subscription(TENANT, name, set_status(Status.PAUSED))
        await store.cancel_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)
        await store.change_subscription(TENANT, name, set_status(Status.DELETED))
        while await store.erase_tenant(TENANT, now_ms=NOW_MS, limit=99):
            pass


async def test_a_bug_in_one_write_takes_no_other_with_it(tmp_path: Path) -> None:
    def break_down(tx: Transaction) -> None:
        tx.db.execute("DELETE FROM event")
        tx.routing.put(a_subscription("never"))
        tx.subscriptions.append(a_subscription("never"))
        raise ZeroDivisionError

    async with open_sqlite_store(tmp_path) as store:
        filled = Filled(store)
        for _ in range(5):
            answers = await asyncio.gather(
                store.accept_events([an_event("never")], now_ms=NOW_MS),
                store.writer.run(break_down),
                store.accept_events([an_event("never")], now_ms=NOW_MS),
                store.create_subscription(a_subscription(), quota=0),
                return_exceptions=True,
            )
            assert [type(answer) for answer in answers] == [
                list,
                ZeroDivisionError,
                list,
                QuotaExceeded,
            ]
        with pytest.raises(ZeroDivisionError):
            await store.writer.run(break_down)
        (events,) = await store.readers.run(
            lambda db: db.execute("SELECT count(*) FROM event").fetchall()[0]
        )
        assert events == 10
        assert await filled.listed() == []


async def test_a_listener_that_fails_keeps_nobody_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Committed) -> None:
        raise ZeroDivisionError

    async with open_sqlite_store(tmp_path) as store:
        store.on_commit(fail)
        filled = Filled(store)
        await filled.subscribe()
        assert len(await filled.publish()) == 1
    assert "a listener failed" in caplog.text


async def test_a_caller_that_goes_away_takes_nothing_back(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path) as store:
        filled = Filled(store)
        await filled.subscribe()
        asked = [
            asyncio.ensure_future(store.accept_events([an_event()], now_ms=NOW_MS))
            for _ in range(10)
        ]
        await asyncio.sleep(0)
        for one in asked[::2]:
            one.cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) == 5
        assert all(
            isinstance(one, Accepted)
            for answer in answers
            if isinstance(answer, list)
            for one in answer
        )
        await store.check()
        assert len(await filled.listed()) == 10
        assert len([row for changes in filled.told for row in changes.arrived]) == 10


async def test_a_closed_store_is_unavailable_and_closing_again_does_no_harm(
    tmp_path: Path,
) -> None:
    async with open_sqlite_store(tmp_path) as store:
        waiting = asyncio.gather(
            *(store.accept_events([an_event()], now_ms=NOW_MS) for _ in range(20))
        )
        await asyncio.sleep(0)
        await store.close()
        # What had been asked for was finished first.
        assert len(await waiting) == 20
        with pytest.raises(StoreUnavailable):
            await store.accept_events([an_event()], now_ms=NOW_MS)
        with pytest.raises(StoreUnavailable):
            await store.list_tenants(before=None, limit=1)


@pytest.mark.parametrize("is_there", [True, False])
async def test_what_is_no_database_cannot_be_opened(tmp_path: Path, is_there: bool) -> None:
    folder = tmp_path / "data"
    if is_there:
        folder.mkdir()
        (folder / DATABASE_NAME).write_bytes(b"this is no database, but a text " * 100)
    with pytest.raises(StoreUnavailable):
        async with open_sqlite_store(folder):
            pass
    folder.mkdir(exist_ok=True)
    (folder / DATABASE_NAME).unlink(missing_ok=True)
    # Nothing was kept locked.
    async with open_sqlite_store(folder) as store:
        await store.check()


async def test_the_log_beside_the_database_is_emptied_when_it_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointer, "_CHECKPOINT_PAGES", 10)
    monkeypatch.setattr(checkpointer, "_TRUNCATE_PAGES", 200)
    log = tmp_path / f"{DATABASE_NAME}-wal"
    async with open_sqlite_store(tmp_path) as store:
        for _ in range(40):
            await store.accept_events([an_event(data=LARGE)], now_ms=NOW_MS)

        await store.check()
        async with asyncio.timeout(40):
            # A checkpoint that could not truncate it is followed by one that a commit asks for.
            while log.stat().st_size >= 300 * 4_096:
                await store.accept_events([an_event(data=LARGE)], now_ms=NOW_MS)
        assert (tmp_path / DATABASE_NAME).stat().st_size > 10 * len(LARGE)
