"""The processes of a measurement on PostgreSQL: the database's own count as well."""

import base64
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.world import World, await_port, cpu_seconds, peak_memory_mib
from tests.support.postgres_server import PostgresServer, installations, running_server
from tools.ports import free_port

_DURABLE = """
fsync = on
full_page_writes = on
shared_buffers = '256MB'
max_wal_size = '4GB'
"""
_DATABASE = "bench"


class PostgresWorld(World):
    """Servers of some roles on one database, on the newest PostgreSQL of this machine."""

    def __init__(
        self,
        folder: Path,
        settings: dict[str, str],
        postgres: PostgresServer,
        roles: Sequence[str],
        *,
        tls: bool,
    ) -> None:
        shared = {
            "TIDINGS_DATABASE_URL": postgres.url(_DATABASE),
            "TIDINGS_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
        }
        super().__init__(folder, shared | settings, is_floor=False, tls=tls)
        self._postgres = postgres
        self._roles = roles
        self._servers: list[subprocess.Popen[bytes]] = []

    def start(self) -> float:
        """Start the servers, the one that answers last."""
        began = time.monotonic()
        for number, role in enumerate(reversed(self._roles)):
            port = self.server_port if number == len(self._roles) - 1 else free_port()
            options = ["--dev", "--role", role, "--port", str(port)]
            options += ["--data-dir", str(self.folder / str(number))]
            self.server = subprocess.Popen(
                [sys.executable, "-m", "tidings", "serve", *options],
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self._servers.append(self.server)
            await_port(port)
        self.call("GET", "/health/ready", seconds=60)
        return time.monotonic() - began

    def kill_server(self) -> None:
        """End all servers as a power cut would; the database goes on."""
        for server in self._servers:
            server.kill()
            server.wait()
        self._servers.clear()

    def stop(self) -> None:
        """End them all."""
        for server in self._servers[:-1]:
            server.terminate()
            server.wait(timeout=30)
        super().stop()

    def cpu_seconds(self) -> float:
        """The CPU time of all servers and of the database."""
        return sum(self.cpu_seconds_of_roles().values()) + self.database_seconds()

    def cpu_seconds_of_roles(self) -> dict[str, float]:
        """The CPU time of the servers by their roles."""
        used = dict.fromkeys(self._roles, 0.0)
        for role, server in zip(reversed(self._roles), self._servers, strict=True):
            used[role] += cpu_seconds(server.pid)
        return used

    def database_seconds(self) -> float:
        """The CPU time of the database server, with all its processes."""
        return self._postgres.cpu_seconds()

    def peak_memory_mib(self) -> float:
        """The highest resident memory of one server so far."""
        return max(peak_memory_mib(one.pid) for one in self._servers)

    def wal_bytes(self) -> int:
        """How much the database has written to its log."""
        (row,) = self._postgres.run("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        return int(row[0])


@contextlib.contextmanager
def postgres_world(
    *roles: str,
    prepare: Callable[[World], None] = lambda _: None,
    tls: bool = False,
    **settings: str,
) -> Iterator[PostgresWorld]:
    """Start a database, a receiver and servers of these roles, and end all of them."""
    newest = max(installations(), key=lambda one: int(one.version))
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(newest, settings=_DURABLE) as postgres,
    ):
        postgres.run(f"CREATE DATABASE {_DATABASE}")
        one = PostgresWorld(Path(folder), settings, postgres, roles, tls=tls)
        try:
            prepare(one)
            one.start()
            yield one
        finally:
            one.stop()
