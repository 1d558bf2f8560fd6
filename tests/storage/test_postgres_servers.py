"""The servers that tests start are real, can be broken like real ones, and outlive nobody."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.postgres_server import Databases, Installation, copied, packaged, running_server
from tests.support.postgres_sessions import eventually

STARTING = """
import sys
from tests.support.postgres_server import Installation, PostgresServer
from pathlib import Path
server = PostgresServer(Installation(sys.argv[1], Path(sys.argv[2])))
server.make()
server.start()
print(server.folder, flush=True)
sys.stdin.read()
"""


def test_a_server_is_gone_when_its_tests_are_killed(postgres_installation: Installation) -> None:
    one = postgres_installation
    with subprocess.Popen(
        [sys.executable, "-c", STARTING, one.version, one.programs],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as tests:
        assert tests.stdout is not None
        folder = Path(tests.stdout.readline().strip())
        assert (folder / "data" / "postmaster.pid").exists()
        tests.send_signal(signal.SIGKILL)
    eventually(lambda: not folder.exists())


def test_a_server_can_be_killed_and_started_again(postgres_installation: Installation) -> None:
    with running_server(postgres_installation) as server:
        server.run("CREATE TABLE kept (id bigint)")
        server.run("INSERT INTO kept VALUES (1)")
        server.kill()
        server.start()
        assert server.run("SELECT id FROM kept")[0][0] == 1


def test_a_commit_can_wait_for_a_standby(postgres_installation: Installation) -> None:
    with running_server(postgres_installation) as server, server.standby() as standby:
        server.run("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        server.reload()
        sql = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        eventually(lambda: bool(server.run(sql)))
        server.run("CREATE TABLE kept (id bigint)")
        standby.promote()
        assert standby.run("SELECT count(*) FROM kept")[0][0] == 0


def test_a_database_of_a_test_is_its_own(postgres_server: Databases) -> None:
    with postgres_server.new_database() as first, postgres_server.new_database() as second:
        postgres_server.run("CREATE TABLE kept (id bigint)", database=first)
        postgres_server.run("CREATE TABLE kept (id bigint)", database=second)
    names = {row[0] for row in postgres_server.run("SELECT datname FROM pg_database")}
    assert not names & {first, second}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as somebody else")
def test_a_server_starts_from_where_its_user_may_not_go(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    programs = copied(packaged(), closed)
    closed.chmod(0o700)
    with running_server(Installation("packaged", programs)) as server:
        assert server.run("SELECT 1")[0][0] == 1
