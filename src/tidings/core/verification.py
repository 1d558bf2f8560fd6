"""Proof that an endpoint wants events: when it is owed, and what counts as one.

A challenge is an ordinary signed event whose data holds a random text. The endpoint proves itself
by an answer of 200 to 299 whose body says the text back, in one of two forms: a JSON object with
the text as its member ``challenge``, or the text alone with nothing but white space around it.
Nothing else counts, so that a service that returns what it was sent proves nothing.
"""

import hmac
from dataclasses import replace
from enum import StrEnum
from typing import Final

import msgspec

from tidings.core.attempt import Attempt, Outcome
from tidings.core.refusals import InvalidState
from tidings.core.subscription import Change, Subscription, status_after, touched, turned

CHALLENGE_EVENT_TYPE: Final = "tidings.verification"
CHALLENGE_BYTES: Final = 32
"""How many random bytes a challenge has before it is written as text."""
BAD_CHALLENGE: Final = "bad_challenge"
"""The error class of an answer that succeeds and does not say the challenge back."""
_WHITE_SPACE: Final = b" \t\r\n"


class Verification(StrEnum):
    """Whether an endpoint must prove that it wants events."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    OFF = "off"


class _Said(msgspec.Struct):
    challenge: str


_SAID: Final = msgspec.json.Decoder(_Said)


def challenge_data(challenge: str) -> bytes:
    """The data of the event that asks an endpoint for a proof."""
    return msgspec.json.encode({"challenge": challenge})


def fault_of_proof(attempt: Attempt, challenge: str) -> str | None:
    """Why an answer proves nothing, as an error class; None if it does."""
    if attempt.outcome is not Outcome.DELIVERED:
        assert attempt.error_class is not None
        return attempt.error_class.value
    said = _said(attempt.response_body)
    return None if hmac.compare_digest(said, challenge.encode("ascii")) else BAD_CHALLENGE


def _said(body: bytes) -> bytes:
    """What an answer gives as the challenge, in either form."""
    plain = body.strip(_WHITE_SPACE)
    if not plain.startswith(b"{"):
        return plain
    try:
        return _SAID.decode(plain).challenge.encode("utf-8", "replace")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return b""


def unproven(subscription: Subscription, verification: Verification) -> Subscription:
    """A subscription whose callback URL nobody has proven: a new one, or one that was changed.

    Its version stays; the caller counts the change.
    """
    unproved = replace(subscription, verified_at_ms=None)
    if verification is not Verification.REQUIRED:
        return unproved
    return replace(
        unproved,
        status=status_after(subscription.status, Change.START_OVER),
        disabled_reason=None,
        must_prove=True,
    )


def proven(subscription: Subscription, callback_url: str, *, now_ms: int) -> Subscription:
    """The subscription after the endpoint at `callback_url` has proven itself.

    The very same if that was known. Raises `InvalidState` where the proof came too late: for
    another URL than the present one, or in a state that it cannot change.
    """
    if subscription.callback_url != callback_url:
        raise InvalidState("the callback URL was changed meanwhile; verify the new one")
    status = status_after(subscription.status, Change.VERIFY)
    if status is subscription.status and subscription.verified_at_ms is not None:
        return subscription
    changed = replace(subscription, status=status, must_prove=False, verified_at_ms=now_ms)
    return touched(changed, now_ms)


def excused(subscription: Subscription, *, now_ms: int) -> Subscription:
    """The subscription where no proof is asked for any more; the very same if none was owed.

    Raises `InvalidState`.
    """
    admitted = turned(subscription, Change.VERIFY, now_ms=now_ms)
    return replace(admitted, must_prove=False) if admitted.must_prove else admitted
