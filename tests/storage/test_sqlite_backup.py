"""A backup beside a busy server: of one moment, whole, and never taken for whole before it is."""

from pathlib import Path

import apsw
import pytest

from tests.contracts.store.conftest import Filled
from tests.support.stores import DATABASE_NAME, open_sqlite_store
from tests.support.values import NOW_MS, an_event
from tidings.storage.sqlite import maintenance
from tidings.storage.sqlite.connection import connect

LARGE = b'{"text":"%b"}' % (b"x" * 50_000)


async def _fill(folder: Path) -> None:
    async with open_sqlite_store(folder) as store:
        await Filled(store).subscribe()
        for _ in range(80):
            await store.accept_events([an_event(data=LARGE)], now_ms=NOW_MS)


def _version(db: apsw.Connection) -> int:
    row = db.execute("SELECT version FROM configuration").fetchone()
    assert row is not None
    return int(row[0])


async def test_a_backup_ends_although_something_is_written_between_any_two_of_its_steps(
    tmp_path: Path,
) -> None:
    await _fill(tmp_path)
    database, copy = tmp_path / DATABASE_NAME, tmp_path / "copy.db"
    writer = connect(database)
    reached: list[int] = []

    def write(done: int, _: int) -> None:
        reached.append(done)
        writer.execute("UPDATE configuration SET version = version + 1")
        assert len(reached) < 100, "the copy begins anew again and again"

    maintenance.backup(database, copy, write)
    assert reached == sorted(set(reached))
    assert len(reached) > 2
    assert maintenance.check(copy) == []
    assert _version(writer) == _version(connect(copy)) + len(reached)


async def test_a_backup_that_was_stopped_has_no_name_and_does_not_hinder_the_next(
    tmp_path: Path,
) -> None:
    class Stopped(BaseException):
        pass

    def stop(done: int, _: int) -> None:
        raise Stopped

    await _fill(tmp_path)
    database, copy = tmp_path / DATABASE_NAME, tmp_path / "copy.db"
    with pytest.raises(Stopped):
        maintenance.backup(database, copy, stop)
    assert not copy.exists()
    maintenance.backup(database, copy, lambda *_: None)
    assert maintenance.check(copy) == []
    assert not (tmp_path / "copy.db.partial").exists()
