"""What an operator does to the database file: beside a running server, and without one."""

import base64
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, watched
from tests.support.server import Server
from tidings.settings import DATABASE_NAME


@pytest.fixture
def data_dir(server: Server) -> str:
    """The data directory of the running server."""
    return str(server.data_dir)


def test_a_database_in_use_is_checked(run: Run, data_dir: str) -> None:
    ended = run("database", "check", "--data-dir", data_dir)
    assert ended.code == 0, ended
    assert ended.out.endswith("is sound.\n")


def test_a_database_in_use_is_backed_up_for_its_owner_alone(
    run: Run, data_dir: str, tmp_path: Path
) -> None:
    to = tmp_path / "copies.db"
    ended = run("database", "backup", str(to), "--json", DATA_DIR=data_dir)
    assert ended.code == 0, ended
    assert json.loads(ended.out)["backup"] == str(to)
    assert to.stat().st_mode & 0o077 == 0

    check = run("database", "check", "--json", "--database", f"sqlite:///{to}")
    assert json.loads(check.out) == {"database": str(to), "faults": []}
    again = run("database", "backup", str(to), DATA_DIR=data_dir)
    assert again.code == 5
    assert "exists already" in again.err


def test_a_database_in_use_is_not_migrated(run: Run, data_dir: str) -> None:
    ended = run("database", "migrate", "--data-dir", data_dir)
    assert ended.code == 5
    assert "another process uses the database" in ended.err


def test_a_database_is_migrated(run: Run, data_dir: str, tmp_path: Path) -> None:
    run("database", "backup", str(tmp_path / DATABASE_NAME), DATA_DIR=data_dir)
    ended = run("database", "migrate", "--json", DATA_DIR=str(tmp_path))
    assert ended.code == 0, ended
    assert json.loads(ended.out)["steps"] == []


def test_who_changed_what_is_shown_beside_the_server(
    run: Run, server: Server, data_dir: str
) -> None:
    made = server.call("POST", "/api-keys", {"name": "operator", "scopes": ["admin"]})
    as_operator = {"Authorization": f"Bearer {made['key']}"}
    subscription = server.subscribe("https://example.com/in", secret="whsec_never_shown")
    name = subscription["subscriptionId"]
    server.call("POST", f"/webhook-subscriptions/{name}/pause", headers=as_operator)
    server.call("GET", f"/webhook-subscriptions/{name}/secret", headers=as_operator)

    ended = run("database", "audit", "--json", "--limit", "3", DATA_DIR=data_dir)
    assert ended.code == 0, ended
    read, paused, created = json.loads(ended.out)["items"]
    assert [one["action"] for one in (created, paused, read)] == [
        "subscription.created",
        "subscription.paused",
        "subscription.secrets_read",
    ]
    assert {one["objectId"] for one in (created, paused, read)} == {name}
    assert (created["byKeyId"], paused["byKeyId"]) == (None, made["keyId"])
    assert (paused["before"], paused["after"]) == ({"status": "active"}, {"status": "paused"})
    assert created["after"]["callbackUrl"] == "https://example.com/in"
    assert created["at"] <= paused["at"] <= read["at"]
    assert "whsec_" not in ended.out
    assert f"subscription.paused by_key_id={made['keyId']}" in server.output.read_text()

    table = run("database", "audit", "--tenant", "default", DATA_DIR=data_dir)
    assert "subscription.paused" in table.out
    assert run("database", "audit", "--tenant", "none", DATA_DIR=data_dir).out == (
        "There are none.\n"
    )


def test_when_keys_were_last_used_is_shown_after_the_server_has_stopped(
    run: Run, tmp_path: Path
) -> None:
    server = Server(tmp_path / "data").start()
    made = server.call("POST", "/api-keys", {"name": "operator", "scopes": ["admin"]})
    server.call("POST", "/api-keys", {"name": "idle", "scopes": ["admin"]})
    server.call("GET", "/tenants", headers={"Authorization": f"Bearer {made['key']}"})
    server.client.close()
    server.stop()
    ended = run("database", "keys", "--json", DATA_DIR=str(server.data_dir))
    idle, used = json.loads(ended.out)["items"]
    assert idle["lastUsedAt"] is None
    assert used["lastUsedAt"] >= used["createdAt"]
    assert made["key"] not in ended.out
    assert "operator" in run("database", "keys", DATA_DIR=str(server.data_dir)).out


@pytest.mark.parametrize(
    "command", [["migrate"], ["check"], ["audit"], ["keys"], ["backup", "copy.db"]]
)
def test_a_database_that_is_not_there_is_not_made(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    ended = run("database", *command, "--data-dir", str(tmp_path / "none"))
    assert ended.code == 3
    assert not list(tmp_path.iterdir())


def test_damage_is_found(run: Run, tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"no database at all" * 100)
    ended = run("database", "check", "--data-dir", str(tmp_path))
    assert ended.code in (6, 8)
    assert ended.err.count("\n") == 1


def test_who_looks_on_sees_how_far_a_backup_is(data_dir: str, tmp_path: Path) -> None:
    to = tmp_path / "watched.db"
    shown = watched("database", "backup", str(to), "--data-dir", data_dir)
    assert b"Backing up" in shown
    assert b"is backed up to" in shown


def test_the_encryption_key_is_changed_and_the_server_goes_on(run: Run, tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start()
    made = server.subscribe("https://example.com/in")
    data_dir = str(server.data_dir)
    in_use = run("database", "reencrypt", DATA_DIR=data_dir)
    assert in_use.code == 5
    assert "another process uses the database" in in_use.err
    server.stop()
    key = server.data_dir / "encryption.key"
    old = key.read_text()

    ended = run("database", "reencrypt", "--json", DATA_DIR=data_dir)
    assert ended.code == 0, ended
    assert json.loads(ended.out)["sealed"] == 2
    assert key.read_text() != old
    kept = [one for one in server.data_dir.glob("encryption.key.*") if one.read_text() == old]
    assert len(kept) == 1
    assert {one.stat().st_mode & 0o077 for one in (key, *kept)} == {0}
    server.start()
    path = f"/webhook-subscriptions/{made['subscriptionId']}/secret"
    assert server.call("GET", path)["secrets"][0]["secret"] == made["secret"]
    server.client.close()
    server.stop()


def test_a_key_of_the_environment_is_changed_and_a_wrong_one_is_told(
    run: Run, tmp_path: Path
) -> None:
    old, new, wrong = (base64.b64encode(bytes([n]) * 32).decode() for n in range(3))
    server = Server(tmp_path / "data", ENCRYPTION_KEY=old).start()
    server.subscribe("https://example.com/in")
    server.client.close()
    server.stop()
    settings = {"DATA_DIR": str(server.data_dir), "ENCRYPTION_KEY": old}

    without = run("database", "reencrypt", **settings)
    assert (without.code, without.err.count("\n")) == (2, 1)
    same = run("database", "reencrypt", **settings, NEW_ENCRYPTION_KEY=old)
    assert (same.code, same.err.count("\n")) == (2, 1)
    refused = run(
        "database", "reencrypt", **settings | {"ENCRYPTION_KEY": wrong}, NEW_ENCRYPTION_KEY=new
    )
    assert refused.code == 5
    assert refused.err.startswith("tidings: the encryption key is not the one")
    assert refused.err.count("\n") == 1

    file = tmp_path / "new.key"
    file.write_text("no key")
    assert run("database", "reencrypt", "--new-key-file", str(file), **settings).code == 6
    file.write_text(new + "\n")
    ended = run("database", "reencrypt", "--new-key-file", str(file), **settings)
    assert ended.code == 0, ended
    assert "TIDINGS_ENCRYPTION_KEY" in ended.out
    assert not (server.data_dir / "encryption.key").exists()
    again = run("database", "reencrypt", "--json", **settings, NEW_ENCRYPTION_KEY=new)
    assert json.loads(again.out)["sealed"] == 0
