"""Starting a server: what is refused, what is made, and that it stops when asked."""

from pathlib import Path

import httpx2
import pytest

from tests.cli.conftest import Run
from tests.support.server import Server


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "tidings.example.com"])
def test_development_mode_is_for_this_machine_alone(run: Run, host: str) -> None:
    ended = run("serve", "--dev", "--host", host)
    assert ended.code == 2
    assert ended.err == f"tidings: --dev serves this machine alone; it cannot listen on {host}\n"


def test_bad_settings_stop_the_start(run: Run, tmp_path: Path) -> None:
    ended = run("serve", RETENTION_DAYS="long", HOST="0.0.0.0")
    assert ended.code == 2
    assert ended.err.startswith("tidings: TIDINGS_RETENTION_DAYS is 'long'")
    assert not list(tmp_path.iterdir())


def test_a_first_start_makes_an_admin_key_that_the_commands_find(run: Run, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    server = Server(data_dir, is_dev=False).start()
    try:
        for name in ("admin.key", "encryption.key"):
            assert (data_dir / name).stat().st_mode & 0o777 == 0o600
        key = (data_dir / "admin.key").read_text().strip()
        assert server.output.read_text().count(key) == 1
        assert httpx2.get(f"{server.url}/events", trust_env=False).status_code == 401
        assert run("events", "list", SERVER=server.url, DATA_DIR=str(data_dir)).code == 0
        ended = run("events", "list", SERVER=server.url)
        assert ended.code == 4
        assert "unauthorized" in ended.err
    finally:
        server.client.close()
        assert server.stop() == 0


def test_a_second_server_on_the_same_data_is_refused(run: Run, server: Server) -> None:
    with pytest.raises(AssertionError, match="another process uses the database"):
        Server(server.data_dir).start()


def test_settings_for_commands_do_not_disturb_a_server(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", SERVER="http://other.example.com", API_KEY="x").start()
    server.client.close()
    assert server.stop() == 0
