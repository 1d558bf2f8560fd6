"""Moving a running installation to PostgreSQL: stopped, copied, started; and operated there."""

import asyncio
import base64
import json
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.cli.conftest import Run, watched
from tests.support.installations import fill, killed
from tests.support.receiver import Receiver
from tests.support.server import Server
from tests.support.stores import SEALING_KEY, run_there
from tidings.key_files import write_key

KEY, NEW_KEY = (base64.b64encode(key).decode() for key in (SEALING_KEY, b"n" * 32))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory with something of everything, and no server."""
    folder = tmp_path / "data"
    folder.mkdir()
    asyncio.run(fill(folder))
    write_key(folder / "encryption.key", SEALING_KEY)
    return folder


def with_password(url: str) -> str:
    """A database URL with a password, for which nobody asks."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace("@", ":hush-hush@")))


def test_a_running_installation_is_moved(
    run: Run, receiver: Receiver, tmp_path: Path, empty_postgres_url: str
) -> None:
    here = Server(tmp_path / "here").start()
    path = f"/moved/{here.port}"
    url = receiver.script(path)
    made = here.subscribe(url, orderingEnabled=True)
    here.publish(orderingKey="k")
    receiver.wait(path, 1)
    pause = f"/webhook-subscriptions/{made['subscriptionId']}"
    here.call("POST", f"{pause}/pause")
    waiting = [here.publish(orderingKey="k")["eventId"] for _ in range(3)]
    command = ("database", "copy", "--data-dir", str(here.data_dir), "--to")
    beside = run(*command, empty_postgres_url)
    assert beside.code == 5
    assert beside.err.startswith("tidings: another process uses the database")
    here.stop()

    ended = run(*command, with_password(empty_postgres_url), "--json")
    assert ended.code == 0, ended
    assert "hush" not in ended.out + ended.err
    told = json.loads(ended.out)
    assert told["isSame"]
    assert told["to"] == empty_postgres_url
    assert all(one["rows"] == one["rowsCopied"] for one in told["tables"])
    rows = {one["table"]: one["rows"] for one in told["tables"]}
    assert rows["delivery"] == 3
    assert rows["event"] > 4  # with those that tell of the subscription

    key = (here.data_dir / "encryption.key").read_text().strip()
    there = Server(tmp_path / "there", DATABASE_URL=empty_postgres_url, ENCRYPTION_KEY=key)
    there.start()
    try:
        assert there.call("GET", f"{pause}/secret")["secrets"][0]["secret"] == made["secret"]
        there.call("POST", f"{pause}/resume")
        receiver.wait(path, 4)
        assert [one.event_id for one in receiver.at(path)][1:] == waiting
        assert there.publish()["deliveries"] == 1
        receiver.wait(path, 5)
    finally:
        there.client.close()
        there.stop()
        here.client.close()


def test_people_are_told_which_key_the_servers_need(
    run: Run, data_dir: Path, empty_postgres_url: str
) -> None:
    ended = run("database", "copy", "--to", empty_postgres_url, DATA_DIR=str(data_dir))
    assert ended.code == 0, ended
    assert f"what is in {data_dir / 'encryption.key'}" in ended.out
    assert "Leave the old server stopped" in ended.out
    assert KEY not in ended.out
    again = run("database", "copy", "--to", empty_postgres_url, DATA_DIR=str(data_dir))
    assert (again.code, again.err.count("\n")) == (5, 1)
    assert "must be empty" in again.err


def test_who_looks_on_sees_how_far_it_is(data_dir: Path, empty_postgres_url: str) -> None:
    shown = watched("database", "copy", "--to", empty_postgres_url, "--data-dir", str(data_dir))
    assert b"Copying" in shown
    assert b"TIDINGS_ENCRYPTION_KEY" in shown


def test_a_copy_that_is_not_the_same_is_a_bad_result(
    run: Run, data_dir: Path, empty_postgres_url: str
) -> None:
    killed(data_dir, empty_postgres_url, 0.5)
    run_there(empty_postgres_url, "DELETE FROM tenant", "SELECT 1")
    ended = run("database", "copy", "--to", empty_postgres_url, "--json", DATA_DIR=str(data_dir))
    assert ended.code == 8
    assert "the copy is not the same in tenant (2, 0)" in ended.err
    assert ended.err.count("\n") == 1
    assert [one["table"] for one in json.loads(ended.out)["tables"] if not one["isSame"]] == [
        "tenant"
    ]
    server = Server(data_dir, DATABASE_URL=empty_postgres_url, ENCRYPTION_KEY=KEY)
    server.client.close()
    server.spawn()
    assert server.await_end(seconds=20) == 1
    assert "a copy into this database is not finished" in server.output.read_text()


def test_what_cannot_be_copied_is_refused_in_one_line(
    run: Run, data_dir: Path, tmp_path: Path, empty_postgres_url: str
) -> None:
    there = {"DATA_DIR": str(data_dir)}
    refused = [
        (2, run("database", "copy", **there)),
        (2, run("database", "copy", "--to", "sqlite:///other.db", **there)),
        (2, run("database", "copy", "--to", f"{empty_postgres_url}?pooler=x", **there)),
        (2, run("database", "copy", "--to", "postgresql://h/x", DATABASE_URL="postgres://h/y")),
        (3, run("database", "copy", "--to", empty_postgres_url, DATA_DIR=str(tmp_path / "no"))),
        (5, run("database", "copy", "--to", empty_postgres_url, **there, ENCRYPTION_KEY=NEW_KEY)),
        (6, run("database", "copy", "--to", "postgresql://127.0.0.1:9/none", **there)),
    ]
    (data_dir / "encryption.key").unlink()
    refused.append((3, run("database", "copy", "--to", empty_postgres_url, **there)))
    for code, ended in refused:
        assert (ended.code, ended.err.count("\n")) == (code, 1), ended
        assert ended.err.startswith("tidings: ")


def test_a_database_on_postgresql_is_operated(run: Run, empty_postgres_url: str) -> None:
    settings = {"DATABASE_URL": with_password(empty_postgres_url), "ENCRYPTION_KEY": KEY}
    empty = run("database", "check", **settings)
    assert (empty.code, empty.err.count("\n")) == (8, 1)
    assert "tidings database migrate" in empty.out
    assert json.loads(run("database", "migrate", "--json", **settings).out)["steps"]
    assert json.loads(run("database", "check", "--json", **settings).out) == {
        "database": empty_postgres_url,
        "faults": [],
    }
    for what in ("audit", "keys"):
        assert run("database", what, **settings).out == "There are none.\n"
    backup = run("database", "backup", "copy.db", **settings)
    assert (backup.code, backup.err.count("\n")) == (2, 1)
    assert "pg_dump" in backup.err
    assert "hush" not in backup.err


def test_the_key_of_a_database_on_postgresql_is_changed(
    run: Run, data_dir: Path, empty_postgres_url: str
) -> None:
    run("database", "copy", "--to", empty_postgres_url, DATA_DIR=str(data_dir))
    url = {"DATABASE_URL": empty_postgres_url}
    without = run("database", "reencrypt", **url, NEW_ENCRYPTION_KEY=NEW_KEY)
    assert (without.code, without.err.count("\n")) == (2, 1)
    assert "TIDINGS_ENCRYPTION_KEY" in without.err
    ended = run("database", "reencrypt", **url, ENCRYPTION_KEY=KEY, NEW_ENCRYPTION_KEY=NEW_KEY)
    assert ended.code == 0, ended
    assert "Set TIDINGS_ENCRYPTION_KEY to the new key" in ended.out
    again = run(
        *("database", "reencrypt", "--json"),
        **url,
        ENCRYPTION_KEY=KEY,
        NEW_ENCRYPTION_KEY=NEW_KEY,
    )
    assert json.loads(again.out)["sealed"] == 0
