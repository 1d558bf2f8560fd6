"""The database file: one process, migrations, checks, backups, and plans that scan nothing."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.store.conftest import Filled
from tests.support.stores import DATABASE_NAME, open_sqlite_store
from tests.support.values import NOW_MS, TENANT
from tidings.core.subscription import Subscription
from tidings.storage.sql import queue
from tidings.storage.sql.store import WrongKey
from tidings.storage.sqlite import DatabaseInUse, DatabaseTooNew
from tidings.storage.sqlite.maintenance import backup, check, migrate


@contextmanager
def _raw(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database as another program sees it."""
    db = sqlite3.connect(folder / DATABASE_NAME)
    try:
        with db:
            yield db
    finally:
        db.close()


async def test_another_process_cannot_open_it(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path):
        program = (
            "import sys\nfrom pathlib import Path\n"
            "from tidings.storage.sqlite.maintenance import migrate\n"
            "migrate(Path(sys.argv[1]))"
        )
        done = subprocess.run(  # noqa: ASYNC221 - nothing else runs meanwhile
            [sys.executable, "-c", program, str(tmp_path / DATABASE_NAME)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "another process uses the database" in done.stderr
        with pytest.raises(DatabaseInUse):
            async with open_sqlite_store(tmp_path):
                pass
    assert migrate(tmp_path / DATABASE_NAME) == []


async def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path):
        pass
    with _raw(tmp_path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(DatabaseTooNew):
        async with open_sqlite_store(tmp_path):
            pass


async def test_another_key_is_noticed_before_anything_is_read(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path):
        pass
    with pytest.raises(WrongKey):
        async with open_sqlite_store(tmp_path, sealing_key=b"x" * 32):
            pass
    async with open_sqlite_store(tmp_path):
        pass


async def test_secrets_that_do_not_open_are_kept_through_a_change(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path) as store:
        subscription = await Filled(store).subscribe(headers=(("X-Token", "t"),))
    name = subscription.subscription_id
    with _raw(tmp_path) as db:
        (sealed,) = db.execute("SELECT sealed_secret FROM signing_secret").fetchone()
        db.execute("UPDATE signing_secret SET sealed_secret = ?", (sealed[::-1],))
    async with open_sqlite_store(tmp_path) as store:
        found = await store.get_subscription(TENANT, name)
        assert found.subscription.secrets == ()
        await store.change_subscription(TENANT, name, _renamed)
    with _raw(tmp_path) as db:
        db.execute("UPDATE signing_secret SET sealed_secret = ?", (sealed,))
    async with open_sqlite_store(tmp_path) as store:
        found = await store.get_subscription(TENANT, name)
        assert found.subscription.secrets == subscription.secrets
        assert found.subscription.headers == subscription.headers
        assert found.subscription.description == "renamed"


def _renamed(old: Subscription) -> Subscription:
    return replace(old, description="renamed")


async def test_a_backup_made_while_it_is_in_use_is_sound_and_whole(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    copy = tmp_path / "copy"
    copy.mkdir()
    async with open_sqlite_store(tmp_path) as store:
        filled = Filled(store)
        await filled.subscribe()
        await filled.publish(20)
        backup(
            tmp_path / DATABASE_NAME,
            copy / DATABASE_NAME,
            lambda done, total: seen.append((done, total)),
        )
        with pytest.raises(FileExistsError):
            backup(tmp_path / DATABASE_NAME, copy / DATABASE_NAME, lambda _done, _total: None)
    assert seen[-1][0] == seen[-1][1] > 0
    assert check(copy / DATABASE_NAME) == []
    async with open_sqlite_store(copy) as store:
        assert len(await Filled(store).listed()) == 20


async def test_a_check_names_what_is_wrong(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path) as store:
        filled = Filled(store)
        await filled.subscribe()
        await filled.publish(2)
    assert check(tmp_path / DATABASE_NAME) == []
    with _raw(tmp_path) as db:
        db.execute("DELETE FROM event")
    assert check(tmp_path / DATABASE_NAME) == ["2 unfinished deliveries have lost their event"]


async def test_the_hot_reads_scan_no_table(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path):
        pass
    statements = {
        queue._PAGE: ("sub", 0, 10),
        queue._DUE: (0, 0, NOW_MS, 10),
        queue._DUE_OF_SUBSCRIPTION: ("sub", NOW_MS, 10),
        queue._SUBSCRIPTIONS_WITH_ROWS: (),
        "SELECT * FROM event_key WHERE tenant_id = ? AND event_key = ?": ("t", "k"),
        "SELECT * FROM finished_delivery WHERE tenant_id = ? AND delivery_id = ?": ("t", "d"),
        "SELECT * FROM attempt WHERE delivery_id = ? ORDER BY number": ("d",),
    }
    with _raw(tmp_path) as db:
        for sql, bindings in statements.items():
            plan = [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql, bindings)]
            scans = [step for step in plan if step.startswith("SCAN") and "found" not in step]
            assert scans == [], (sql, plan)
