"""TLS to the database: asked for by the URL as libpq would, and refused in words for people."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.cli.conftest import Ended, Run
from tests.support.postgres_server import PostgresServer, installations, packaged
from tidings.cli.output import ExitCode

_SETTINGS = "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n"


@pytest.fixture(name="authority", scope="module")
def its_authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, trustme.CA]:
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path, authority


@pytest.fixture(name="encrypted", scope="module")
def server_with_certificate(authority: tuple[Path, trustme.CA]) -> Iterator[PostgresServer]:
    """A server that takes nothing but TLS on its port."""
    able = [one for one in installations() if one.programs != packaged()]
    if not able:
        pytest.skip("the packaged PostgreSQL is built without TLS: install Debian's")
    with PostgresServer(able[-1], settings=_SETTINGS) as server:
        server.make()
        certificate = authority[1].issue_cert("localhost")
        chain = b"".join(one.bytes() for one in certificate.cert_chain_pems)
        (server.data / "server.pem").write_bytes(chain)
        (server.data / "server.key").write_bytes(certificate.private_key_pem.bytes())
        rules = server.data / "pg_hba.conf"
        rules.write_text("hostssl all all 127.0.0.1/32 trust\n")
        owner = server.data.stat()
        for path in (server.data / "server.pem", server.data / "server.key"):
            path.chmod(0o600)
            os.chown(path, owner.st_uid, owner.st_gid)
        server.start()
        yield server


def migrated(run: Run, server: PostgresServer, query: str, *, host: str = "localhost") -> Ended:
    """Have a person prepare the database."""
    url = f"postgresql://tidings@{host}:{server.port}/postgres?{query}"
    return run("database", "migrate", DATABASE_URL=url)


def test_the_database_is_reached_by_tls(
    run: Run, encrypted: PostgresServer, authority: tuple[Path, trustme.CA]
) -> None:
    for query in ("sslmode=require", f"sslmode=verify-full&sslrootcert={authority[0]}"):
        ended = migrated(run, encrypted, query)
        assert ended.code == ExitCode.OK, ended


def test_without_tls_the_server_says_no_and_so_do_we(run: Run, encrypted: PostgresServer) -> None:
    ended = migrated(run, encrypted, "sslmode=disable")
    assert ended.code == ExitCode.UNAVAILABLE, ended
    assert "no encryption" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("fault", ["another authority", "another name", "no file"])
def test_a_server_that_cannot_prove_itself_is_refused(
    run: Run,
    encrypted: PostgresServer,
    authority: tuple[Path, trustme.CA],
    tmp_path: Path,
    fault: str,
) -> None:
    path, host = tmp_path / "authority.pem", "localhost"
    if fault == "another authority":
        trustme.CA().cert_pem.write_to_path(path)
    elif fault == "another name":
        shutil.copy(authority[0], path)
        host = "127.0.0.1"
    ended = migrated(run, encrypted, f"sslmode=verify-full&sslrootcert={path}", host=host)
    said = ended.out + ended.err
    assert ended.code == (ExitCode.USAGE if fault == "no file" else ExitCode.UNAVAILABLE), said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1
    assert ("certificate" in said) or (fault == "no file" and str(path) in said)
