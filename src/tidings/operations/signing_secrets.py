"""Signing secrets: where a new one comes from, and what becomes of those before it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tidings.core import limits
from tidings.core.refusals import Fault, TooManySecrets, ValidationFailed
from tidings.core.subscription import SigningSecret
from tidings.ports.clock import Chance
from tidings.signing import UnusableSecret, encode_key, is_strong_secret, key_of_secret

_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SecretRules:
    """What an operator asks of secrets that subscribers choose."""

    are_strong_only: bool = False


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new secret, and when the last of those before it stops signing."""

    secret: str
    previous_expire_at_ms: int


def new_secret(given: str | None, rules: SecretRules, chance: Chance) -> str:
    """The secret that a subscriber chose, or one of ours. Raises `ValidationFailed`."""
    if given is None:
        return encode_key(chance.key_bytes(_KEY_BYTES))
    try:
        key_of_secret(given)
    except UnusableSecret as fault:
        raise _refused(str(fault)) from None
    if rules.are_strong_only and not is_strong_secret(given):
        raise _refused("here a secret is whsec_ and 24 to 64 bytes in base64")
    return given


def rotated(
    secrets: Sequence[SigningSecret], fresh: str, *, overlap_seconds: int, now_ms: int
) -> tuple[SigningSecret, ...]:
    """The secrets after a rotation, newest first.

    Those that run out anyway keep their time, if it is sooner. Without overlap the new one stands
    alone. Raises `TooManySecrets`.
    """
    ends_at_ms = now_ms + overlap_seconds * 1_000
    previous = [
        replace(one, expires_at_ms=min(one.expires_at_ms or ends_at_ms, ends_at_ms))
        for one in secrets
        if one.is_live(now_ms) and one.secret != fresh
    ]
    if overlap_seconds == 0:
        previous = []
    if len(previous) >= limits.LIVE_SECRETS_MAX:
        raise TooManySecrets(
            f"{limits.LIVE_SECRETS_MAX} secrets are live; wait until one expires, "
            "or rotate without an overlap"
        )
    return (SigningSecret(fresh, now_ms), *previous)


def _refused(why: str) -> ValidationFailed:
    return ValidationFailed("the secret cannot be one", faults=[Fault("/secret", why)])
