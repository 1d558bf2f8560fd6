"""Signing secrets: which texts can be one, and what a rotation leaves."""

import base64

import pytest

from tidings.core import limits
from tidings.core.refusals import TooManySecrets, ValidationFailed
from tidings.core.subscription import SigningSecret
from tidings.operations.signing_secrets import SecretRules, new_secret, rotated
from tidings.system import SystemChance

STRONG = "whsec_" + base64.b64encode(b"k" * 24).decode()
HOUR_MS = 3_600_000


def test_a_secret_of_ours_is_strong_under_any_rules() -> None:
    for rules in (SecretRules(), SecretRules(are_strong_only=True)):
        secret = new_secret(None, rules, SystemChance())
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
        assert new_secret(secret, rules, SystemChance()) == secret


def test_plain_secrets_are_taken_unless_the_operator_forbids_them() -> None:
    assert new_secret("whsec_abc123", SecretRules(), SystemChance()) == "whsec_abc123"
    with pytest.raises(ValidationFailed) as caught:
        new_secret("whsec_abc123", SecretRules(are_strong_only=True), SystemChance())
    assert caught.value.faults[0].pointer == "/secret"
    assert new_secret(STRONG, SecretRules(are_strong_only=True), SystemChance()) == STRONG


@pytest.mark.parametrize("secret", ["", "short", "x" * 257, "a b c d e", "whsec_AAAA", "pässword"])
def test_other_texts_are_no_secrets(secret: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        new_secret(secret, SecretRules(), SystemChance())
    assert not secret or secret not in caught.value.faults[0].detail


def test_a_rotation_puts_the_new_secret_first_and_ends_the_others() -> None:
    before = (SigningSecret("b", 1), SigningSecret("a", 0, HOUR_MS // 2))
    after = rotated(before, "c", overlap_seconds=3_600, now_ms=1_000)
    assert after == (
        SigningSecret("c", 1_000),
        SigningSecret("b", 1, HOUR_MS + 1_000),
        SigningSecret("a", 0, HOUR_MS // 2),
    )


def test_an_overlap_may_shorten_what_is_left_of_an_earlier_one() -> None:
    before = (SigningSecret("b", 1), SigningSecret("a", 0, 10 * HOUR_MS))
    after = rotated(before, "c", overlap_seconds=60, now_ms=0)
    assert [one.expires_at_ms for one in after] == [None, 60_000, 60_000]


def test_without_overlap_the_new_secret_stands_alone() -> None:
    before = tuple(SigningSecret(str(number), 0, HOUR_MS) for number in range(5))
    assert rotated(before, "c", overlap_seconds=0, now_ms=1) == (SigningSecret("c", 1),)


def test_secrets_that_have_expired_are_dropped() -> None:
    before = (SigningSecret("b", 0), SigningSecret("a", 0, 1_000))
    after = rotated(before, "c", overlap_seconds=60, now_ms=1_000)
    assert [one.secret for one in after] == ["c", "b"]


def test_the_same_secret_again_is_no_second_one() -> None:
    after = rotated((SigningSecret("a", 0),), "a", overlap_seconds=60, now_ms=5)
    assert after == (SigningSecret("a", 5),)


def test_there_are_never_more_than_five() -> None:
    secrets: tuple[SigningSecret, ...] = (SigningSecret("0", 0),)
    for number in range(1, limits.LIVE_SECRETS_MAX):
        secrets = rotated(secrets, str(number), overlap_seconds=60, now_ms=number)
    with pytest.raises(TooManySecrets):
        rotated(secrets, "x", overlap_seconds=60, now_ms=10)
    assert len(rotated(secrets, "x", overlap_seconds=60, now_ms=60_002)) < 5
