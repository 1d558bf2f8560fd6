"""A real PgBouncer in transaction mode before a server, where Debian's package is installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.postgres_server import UNPRIVILEGED
from tools.ports import free_port

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextmanager
def pgbouncer(url: str, *, pool_size: int = 2) -> Iterator[str]:
    """A pooler with so many connections to a database; answers the database's URL behind it."""
    if PROGRAM is None:
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    parts = urlsplit(url)
    port = free_port()
    database = parts.path.removeprefix("/")
    with tempfile.TemporaryDirectory(prefix="tidings-pgbouncer-") as name:
        folder = Path(name)
        (folder / "users").write_text(f'"{parts.username}" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"""
[databases]
{database} = host={parts.hostname} port={parts.port} dbname={database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder / "users"}
pool_mode = transaction
default_pool_size = {pool_size}
"""
        )
        as_root = os.geteuid() == 0
        if as_root:
            os.chown(folder, pwd.getpwnam(UNPRIVILEGED).pw_uid, -1)
        with subprocess.Popen(
            [PROGRAM, folder / "pgbouncer.ini"],
            stderr=subprocess.PIPE,
            text=True,
            user=UNPRIVILEGED if as_root else None,
        ) as running:
            try:
                assert running.stderr is not None
                said = ""
                while "process up" not in said:
                    line = running.stderr.readline()
                    assert line, said
                    said += line
                place = f"{parts.username}@127.0.0.1:{port}/{database}"
                yield f"postgresql://{place}?pooler=transaction"
            finally:
                running.kill()
