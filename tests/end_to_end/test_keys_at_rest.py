"""The encryption key: without the right one the server does not start, and nothing is lost."""

import base64
import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.receiver import Receiver
from tests.support.server import Server


def _start_fails(server: Server) -> str:
    """Why the server does not start."""
    command = [sys.executable, "-m", "tidings", "serve", "--dev", "--port", str(server.port)]
    done = subprocess.run(
        [*command, "--data-dir", str(server.data_dir)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda key: key.write_text(base64.b64encode(b"x" * 32).decode()), "is not the one"),
        (lambda key: key.write_text("not a key"), "does not hold an encryption key"),
        (Path.unlink, "is missing"),
    ],
)
def test_the_server_refuses_to_start_without_the_right_key_and_loses_nothing(
    tmp_path: Path, receiver: Receiver, change: object, expected: str
) -> None:
    server = Server(tmp_path / "data").start()
    subscription = server.subscribe(f"{receiver.url}/kept")
    assert server.stop() == 0
    key = server.data_dir / "encryption.key"
    right = key.read_text()
    assert callable(change)
    change(key)
    assert expected in _start_fails(server)
    key.write_text(right)
    server.start()
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}/secret"
    assert server.call("GET", path)["secrets"][0]["secret"] == subscription["secret"]
    server.publish()
    receiver.wait("/kept", 1)
    server.client.close()
    assert server.stop() == 0


def test_a_subscription_whose_secret_does_not_open_waits_and_says_so(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Nothing is ever sent to it unsigned, nothing is lost, and nobody else waits."""
    server = Server(tmp_path / "data").start()
    damaged = server.subscribe(f"{receiver.url}/damaged")["subscriptionId"]
    server.subscribe(f"{receiver.url}/sound")
    assert server.stop() == 0
    database = tmp_path / "data" / "tidings.db"
    change = "UPDATE signing_secret SET sealed_secret = ? WHERE subscription_id = ?"
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        select = "SELECT sealed_secret FROM signing_secret WHERE subscription_id = ?"
        (sealed,) = db.execute(select, (damaged,)).fetchone()
        db.execute(change, (sealed[:-1] + bytes([sealed[-1] ^ 1]), damaged))

    server.start()
    assert server.publish()["deliveries"] == 2
    receiver.wait("/sound", 1)
    (waiting,) = server.deliveries(subscriptionId=damaged)
    assert (waiting["status"], waiting["attemptCount"]) == ("pending", 0)
    assert "tidings_subscriptions_unopened 1.0" in server.client.get("/metrics").text
    assert f"a secret cannot be opened; nothing is sent to {damaged}" in server.output.read_text()
    assert receiver.at("/damaged") == []
    assert server.stop() == 0

    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute(change, (sealed, damaged))
    server.start()
    (request,) = receiver.wait("/damaged", 1)
    assert request.headers["webhook-signature"].startswith("v1,")
    assert "tidings_subscriptions_unopened 0.0" in server.client.get("/metrics").text
    server.client.close()
    assert server.stop() == 0


def test_a_second_process_on_the_same_data_is_refused(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start()
    second = Server(tmp_path / "data")
    assert "another process uses the database" in _start_fails(second)
    second.client.close()
    server.client.close()
    assert server.stop() == 0


def test_files_with_events_or_keys_are_for_their_owner_alone(server: Server) -> None:
    files = [one for one in server.data_dir.iterdir() if one.is_file()]
    assert {"tidings.db", "encryption.key"} <= {one.name for one in files}
    for one in files:
        assert one.stat().st_mode & 0o077 == 0, one.name
