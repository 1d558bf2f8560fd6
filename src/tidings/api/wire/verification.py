"""What an endpoint is asked for as a proof that it wants events, and how it answers."""

from typing import Annotated, Literal

from msgspec import Meta

from tidings.api.wire.base import Shown, ShownMoment


class Challenge(Shown):
    """What an endpoint must say back."""

    challenge: Annotated[str, Meta(description="Random, and new for each request.")]


class VerificationEvent(Shown):
    """What is sent to a `callbackUrl` that shall prove itself."""

    event_id: str
    event_type: Literal["tidings.verification"]
    occurred_at: ShownMoment
    data: Challenge
