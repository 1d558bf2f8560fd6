"""The receiver proves who it is, or gets nothing."""

import asyncio
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.contracts.transport.conftest import Client
from tests.support.hostile_receiver import Exchange, HostileReceiver, repeating, silent, status
from tests.support.waiting import eventually
from tidings.core.attempt import ErrorClass
from tidings.transport.tls import new_ssl_context

NAME = "receiver.example.com"
NAMES = {NAME: ["127.0.0.1"]}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """What the transport uses in production, and one more authority that it trusts."""
    context = new_ssl_context()
    authority.configure_trust(context)
    return context


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "self-signed.pem"
    file.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_a_receiver_that_proves_its_name_is_called(
    client: Client, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    await client.make(names=NAMES, ssl_context=trusting)
    async with HostileReceiver(serving(authority.issue_cert(NAME))) as receiver:
        receiver.on("/", status("200 OK"))
        for _ in range(2):
            answer = await client.post(receiver.url("/", host=NAME))
            assert answer.status_code == 200
        assert receiver.connections == 1


@pytest.mark.parametrize(
    ("certificate", "detail"),
    [
        (trustme.CA().issue_cert(NAME), "not signed by an authority"),
        ("other.example.com", "another host name"),
        ("127.0.0.1", "another host name"),
        (timedelta(days=1), "expired"),
        (timedelta(days=36_500), "not valid yet"),
    ],
    ids=["unknown authority", "other name", "address", "expired", "not yet valid"],
)
async def test_a_receiver_that_proves_nothing_gets_nothing(
    client: Client,
    authority: trustme.CA,
    trusting: ssl.SSLContext,
    certificate: trustme.LeafCert | str | timedelta,
    detail: str,
) -> None:
    if isinstance(certificate, str):
        certificate = authority.issue_cert(certificate)
    elif isinstance(certificate, timedelta):
        middle = LONG_AGO + certificate
        certificate = authority.issue_cert(
            NAME, not_before=middle - timedelta(hours=1), not_after=middle + timedelta(hours=1)
        )
    await client.make(names=NAMES, ssl_context=trusting)
    async with HostileReceiver(serving(certificate)) as receiver:
        receiver.on("/", status("200 OK"))
        answer = await client.post(receiver.url("/", host=NAME))
        assert answer.error_class is ErrorClass.TLS
        assert answer.error_detail is not None
        assert detail in answer.error_detail
        assert not receiver.exchanges


async def test_a_self_signed_certificate_proves_nothing(
    client: Client, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    await client.make(names=NAMES, ssl_context=trusting)
    async with HostileReceiver(self_signed(tmp_path)) as receiver:
        receiver.on("/", status("200 OK"))
        answer = await client.post(receiver.url("/", host=NAME))
        assert answer.error_class is ErrorClass.TLS
        assert answer.error_detail == "the certificate is self-signed"
        assert not receiver.exchanges


async def test_only_what_the_system_trusts_is_trusted(
    client: Client, authority: trustme.CA
) -> None:
    await client.make(names=NAMES)
    async with HostileReceiver(serving(authority.issue_cert(NAME))) as receiver:
        answer = await client.post(receiver.url("/", host=NAME))
        assert answer.error_class is ErrorClass.TLS
        assert not receiver.exchanges


async def test_a_handshake_that_does_not_end_is_a_timeout(
    client: Client, trusting: ssl.SSLContext
) -> None:
    await client.make(names=NAMES, ssl_context=trusting)
    async with HostileReceiver() as receiver:
        url = receiver.url("/", host=NAME).replace("http:", "https:")
        answer = await client.post(url, seconds=0.5)
        assert answer.error_class is ErrorClass.TIMEOUT


async def test_what_is_no_tls_is_a_fault_of_tls(client: Client, trusting: ssl.SSLContext) -> None:
    await client.make(names=NAMES, ssl_context=trusting)
    async with HostileReceiver() as receiver:
        receiver.on_connection = lambda writer: writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        url = receiver.url("/", host=NAME).replace("http:", "https:")
        answer = await client.post(url, seconds=5)
        assert answer.error_class is ErrorClass.TLS


async def test_a_handshake_that_breaks_off_is_a_reset(
    client: Client, trusting: ssl.SSLContext
) -> None:
    await client.make(names=NAMES, ssl_context=trusting)
    async with HostileReceiver() as receiver:
        receiver.on_connection = lambda writer: writer.transport.abort()
        url = receiver.url("/", host=NAME).replace("http:", "https:")
        answer = await client.post(url, seconds=5)
        assert answer.error_class in {ErrorClass.CONNECTION_RESET, ErrorClass.TLS}


async def test_silent_peers_keep_nobody_from_shaking_hands(
    client: Client, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    await client.make(names=NAMES, ssl_context=trusting)
    async with (
        HostileReceiver() as mute,
        HostileReceiver(serving(authority.issue_cert(NAME))) as receiver,
    ):
        mute_url = mute.url("/", host=NAME).replace("http:", "https:")
        waiting = [asyncio.create_task(client.post(mute_url, seconds=9)) for _ in range(20)]
        await eventually(lambda: mute.connections >= 8)
        receiver.on("/", status("200 OK"))
        answer = await client.post(receiver.url("/", host=NAME), seconds=8)
        assert answer.status_code == 200
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_an_answer_by_tls_is_as_bounded_as_any(
    client: Client, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    await client.make(names=NAMES, ssl_context=trusting)
    async with HostileReceiver(serving(authority.issue_cert(NAME))) as receiver:
        endless = repeating(b"a" * 65_536, after=b"HTTP/1.1 200 OK\r\n\r\n")
        receiver.on("/endless", endless)
        receiver.on("/silent", silent)
        answer = await client.post(receiver.url("/endless", host=NAME))
        assert answer.status_code == 200
        answer = await client.post(receiver.url("/silent", host=NAME), seconds=0.5)
        assert answer.error_class is ErrorClass.TIMEOUT
        for exchange in receiver.exchanges:
            await exchange.wait_until_left()


async def test_a_new_connection_verifies_the_certificate_anew(
    client: Client, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    await client.make(names=NAMES, ssl_context=trusting)
    resumed: list[bool] = []

    async def answer(exchange: Exchange) -> None:
        resumed.append(exchange.writer.get_extra_info("ssl_object").session_reused)
        await status("200 OK", "Connection: close")(exchange)

    async with HostileReceiver(serving(authority.issue_cert(NAME))) as receiver:
        receiver.on("/", answer)
        for _ in range(2):
            assert (await client.post(receiver.url("/", host=NAME))).status_code == 200
    assert resumed == [False, False]


@pytest.mark.parametrize("headers", [b"Content-Length: 30\r\n", b""])
async def test_an_end_without_the_goodbye_of_tls_changes_nothing(
    client: Client, authority: trustme.CA, trusting: ssl.SSLContext, headers: bytes
) -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\nabc")
        exchange.writer.transport.abort()

    await client.make(names=NAMES, ssl_context=trusting)
    async with HostileReceiver(serving(authority.issue_cert(NAME))) as receiver:
        receiver.on("/", cut)
        answer = await client.post(receiver.url("/", host=NAME))
        assert (answer.status_code, answer.body) == (200, b"abc")


@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
async def test_a_body_goes_out_by_tls_byte_for_byte(
    client: Client, authority: trustme.CA, trusting: ssl.SSLContext, size: int
) -> None:
    await client.make(names=NAMES, ssl_context=trusting)
    async with HostileReceiver(serving(authority.issue_cert(NAME))) as receiver:
        receiver.on("/", status("200 OK"))
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        for _ in range(2):
            assert (await client.post(receiver.url("/", host=NAME), body)).status_code == 200
        assert [exchange.body for exchange in receiver.exchanges] == [body, body]
        assert receiver.connections == 1


async def test_garbage_on_a_connection_of_tls_is_a_failure_unless_a_status_has_come(
    client: Client, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async def garble(exchange: Exchange) -> None:
        if exchange.path == "/later":
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
            await asyncio.sleep(0.05)
        made = exchange.writer.get_extra_info("socket")
        os.write(made.fileno(), b"this is no TLS at all, and never will be")
        await silent(exchange)

    await client.make(names=NAMES, ssl_context=trusting)
    async with HostileReceiver(serving(authority.issue_cert(NAME))) as receiver:
        receiver.on("/", garble)
        receiver.on("/later", garble)
        answer = await client.post(receiver.url("/", host=NAME))
        assert answer.error_class is ErrorClass.TLS
        answer = await client.post(receiver.url("/later", host=NAME))
        assert answer.status_code == 200
