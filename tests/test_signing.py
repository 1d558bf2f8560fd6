"""Signatures against the vectors of Standard Webhooks, and against its library."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from tidings import signing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EXTRA = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
LONG = signing.encode_key(bytes(range(64)))


@pytest.mark.parametrize(
    ("secret", "webhook_id", "timestamp", "body", "expected"),
    [
        (
            SECRET,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (EXTRA, "msg_1", 1700000000, b"{}", "v1,ehZEL34p4RtokJ76Mky/c6YT0NkxG/H/gdzahhXIyv0="),
        (EXTRA, "msg_1", 1700000000, b"", "v1,1mgOj6TVhp3BSMcTTSkIcSqwMImLcuoATUkCX45722Q="),
        (
            EXTRA,
            "msg_1",
            1700000000,
            '{"n":"Zoë 😀"}'.encode(),
            "v1,qnJ4BYwcbzEXhqcQ/WjKZxNxTw6vT7GgvE1r0f1jj/E=",
        ),
        (LONG, "msg_1", 1700000000, b"{}", "v1,Jh0/MObzKQrTyPme0d8AVe9n6aTJ51mUL9aH5mPKJ/w="),
    ],
)
def test_the_known_vectors_come_out(
    secret: str, webhook_id: str, timestamp: int, body: bytes, expected: str
) -> None:
    assert signing.sign(signing.key_of_secret(secret), webhook_id, timestamp, body) == expected


@given(key=st.binary(min_size=24, max_size=64), number=st.integers())
def test_the_library_verifies_what_we_sign_and_we_what_it_signs(key: bytes, number: int) -> None:
    now = datetime.now(UTC)
    seconds = int(now.timestamp())
    body = b'{"n":%d}' % number
    secret = signing.encode_key(key)
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(seconds),
        "webhook-signature": signing.sign(key, "evt_1", seconds, body),
    }
    assert Webhook(secret).verify(body, headers) == {"n": number}
    theirs = Webhook(secret).sign("evt_1", now, body.decode())
    assert signing.verify(
        headers | {"webhook-signature": theirs}, body, [secret], now_seconds=seconds
    )


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_abc123", b"whsec_abc123"),
        ("my-plain-secret", b"my-plain-secret"),
        (EXTRA, bytes(range(24))),
        ("x" * 256, b"x" * 256),
    ],
)
def test_secrets_become_keys_as_documented(secret: str, key: bytes) -> None:
    assert signing.key_of_secret(secret) == key


@pytest.mark.parametrize(
    "secret",
    ["", "short", "x" * 257, "with space", "ünïcode-secret", "whsec_", "whsec_AA==", "whsec_abcd"]
    + ["whsec_" + base64.b64encode(bytes(count)).decode() for count in (23, 65, 300)],
)
def test_what_cannot_be_a_secret_is_refused(secret: str) -> None:
    with pytest.raises(signing.UnusableSecret):
        signing.key_of_secret(secret)


def test_stray_bits_behind_the_base64_are_refused() -> None:
    with pytest.raises(signing.UnusableSecret):
        signing.key_of_secret("whsec_" + base64.b64encode(bytes(25)).decode()[:-3] + "B==")


def test_only_the_standard_form_is_strong() -> None:
    assert signing.is_strong_secret(SECRET)
    assert not signing.is_strong_secret("whsec_abc123")


def _headers(**changed: str) -> dict[str, str]:
    seconds = 1700000000
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(seconds),
        "Webhook-Signature": signing.signature_header(
            [signing.key_of_secret("other-secret"), signing.key_of_secret(SECRET)],
            "evt_1",
            seconds,
            b"{}",
        ),
    }
    return headers | {name.replace("_", "-"): value for name, value in changed.items()}


def test_any_of_several_tokens_and_any_of_several_secrets_will_do() -> None:
    assert signing.verify(_headers(), b"{}", ["unknown-one", SECRET], now_seconds=1700000000)
    assert signing.verify(_headers(), b"{}", ["other-secret"], now_seconds=1700000299)


@pytest.mark.parametrize(
    ("changed", "now_seconds"),
    [
        ({}, 1700000301),
        ({}, 1699999699),
        ({"Webhook_Id": "evt.1"}, 1700000000),
        ({"Webhook_Id": ""}, 1700000000),
        ({"Webhook_Timestamp": "1700000000.5"}, 1700000000),
        ({"Webhook_Timestamp": "1_700_000_000"}, 1700000000),
        ({"Webhook_Timestamp": "\u0661\u0667\u0660\u0660"}, 1700000000),
        ({"Webhook_Signature": ""}, 1700000000),
        ({"Webhook_Signature": "v1,"}, 1700000000),
        ({"Webhook_Signature": "v1"}, 1700000000),
        ({"Webhook_Signature": "v1,a,b v2,x \t"}, 1700000000),
        ({"Webhook_Signature": "v1,é"}, 1700000000),
    ],
)
def test_everything_else_is_an_invalid_signature(changed: dict[str, str], now_seconds: int) -> None:
    with pytest.raises(signing.InvalidSignature):
        signing.verify(_headers(**changed), b"{}", [SECRET], now_seconds=now_seconds)


def test_a_changed_body_does_not_verify() -> None:
    with pytest.raises(signing.InvalidSignature):
        signing.verify(_headers(), b"{ }", [SECRET], now_seconds=1700000000)


@given(st.binary(max_size=200), st.binary(max_size=2_000))
def test_a_signature_is_the_hmac_of_the_standard_library(key: bytes, body: bytes) -> None:
    expected = hmac.digest(key, b"evt_1.1700000000." + body, hashlib.sha256)
    token = signing.sign(key, "evt_1", 1_700_000_000, body)
    assert token == "v1," + base64.b64encode(expected).decode()
