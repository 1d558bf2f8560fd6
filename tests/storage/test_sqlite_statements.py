"""Statements over many rows in SQLite, however many there are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tidings.storage.sqlite.connection import connect
from tidings.storage.sqlite.statements import SqliteConnection


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SqliteConnection]:
    one = connect(tmp_path / "some.db")
    one.execute("CREATE TABLE some (a INTEGER PRIMARY KEY, b TEXT)")
    yield one
    one.close()


@pytest.mark.parametrize("count", [0, 1, 9, 31, 300, 1_023])
def test_each_row_is_written_once_and_answered_in_its_place(
    db: SqliteConnection, count: int
) -> None:
    rows = [(number, f"row {number}") for number in range(count)]
    answered = db.execute_many("INSERT INTO some", rows, "RETURNING a, b", types="it")
    assert answered == rows
    assert db.execute("SELECT a, b FROM some ORDER BY a").fetchall() == rows


@pytest.mark.parametrize("missing", [[], [4], list(range(30)), list(range(25, 100))])
def test_of_rows_to_delete_those_are_answered_that_were_there(
    db: SqliteConnection, missing: list[int]
) -> None:
    wanted = [(number, str(number)) for number in range(100)]
    there = [row for row in wanted if row[0] not in missing]
    others = [(number, "other") for number in (*missing, 100)]
    db.execute_many("INSERT INTO some", [*there, *others], types="it")
    assert sorted(db.delete_many("some", "a, b", wanted, types="it")) == there
    assert db.execute("SELECT a, b FROM some ORDER BY a").fetchall() == others
