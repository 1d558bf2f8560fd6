"""Deliveries, their attempts, and replays on the wire."""

import base64
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from tidings.api.wire.base import (
    Moment,
    Page,
    Patterns,
    PublicId,
    Shown,
    ShownMoment,
    TenantBody,
    moment_or_null,
)
from tidings.core.attempt import Attempt, ErrorClass, Outcome
from tidings.core.delivery import DeadLetterReason, DeliveryStatus
from tidings.core.identifier import id_made_at_ms
from tidings.core.payload import Form, media_type
from tidings.core.timestamp import format_timestamp
from tidings.operations.inspection import DeliveryHistory
from tidings.operations.replay import Begun
from tidings.ports.records import DeliveryRecord, Replay, ReplayChoice

HIDDEN: Final = "[hidden]"
_SECRET_ANSWER_HEADERS: Final = frozenset({"set-cookie", "authorization", "www-authenticate"})


class Delivery(Shown):
    """The duty to bring one event to one subscription."""

    delivery_id: str
    tenant_id: str
    event_id: str
    event_type: str
    subscription_id: str
    status: DeliveryStatus
    attempt_count: int
    replay_count: int
    next_attempt_at: ShownMoment | None
    created_at: ShownMoment
    finished_at: ShownMoment | None
    dead_letter_reason: DeadLetterReason | None


class DeliveryPage(Page[Delivery]):
    """Deliveries, newest first."""


class ShownAttempt(Shown):
    """One request and what came of it. What is secret in a header is hidden."""

    attempt_id: str
    number: int
    started_at: ShownMoment
    duration_ms: int
    outcome: Outcome
    status_code: int | None
    error_class: ErrorClass | None
    error_detail: str | None
    request_headers: dict[str, str]
    response_headers: dict[str, str]
    response_body: Annotated[
        str, Meta(description="The kept part, as text, or in base64 where it is none.")
    ]
    response_body_encoding: Literal["text", "base64"]


class DeliveryWithAttempts(Delivery):
    """A delivery with every attempt made for it, oldest first."""

    attempts: list[ShownAttempt]


class _Selection(TenantBody):
    """Which deliveries a replay covers."""

    since: Annotated[Moment | None, Meta(description="Created at or after this moment.")] = None
    until: Annotated[Moment | None, Meta(description="Created before this moment.")] = None
    event_type: Patterns | None = None
    dry_run: Annotated[bool, Meta(description="Only count.")] = False


class ReplaySubscriptionRequest(_Selection):
    """What is delivered to the subscription again: its dead letters, unless told otherwise."""

    only: Annotated[
        ReplayChoice,
        Meta(
            description="`dead`: dead letters. `missed`: matching events that have no delivery, "
            "also those older than the subscription. `all`: dead letters and what was delivered."
        ),
    ] = "dead"


class ReplayDeadLettersRequest(_Selection):
    """Which dead letters are delivered again."""

    subscription_id: PublicId | None = None


class BegunReplay(Shown):
    """A replay that goes on in the background; after a dry run only the count."""

    replay_id: str | None
    deliveries: int


class ShownReplay(Shown):
    """How far a replay has come: `done` of `deliveries`."""

    replay_id: str
    tenant_id: str
    status: Literal["running", "finished"]
    only: ReplayChoice
    subscription_id: str | None
    event_type: str | None
    since: ShownMoment | None
    until: ShownMoment | None
    deliveries: int
    done: int
    created_at: ShownMoment
    finished_at: ShownMoment | None


def shown_delivery(record: DeliveryRecord) -> Delivery:
    """A delivery as it is answered."""
    return Delivery(
        delivery_id=record.delivery_id,
        tenant_id=record.tenant_id,
        event_id=record.event_id,
        event_type=record.event_type,
        subscription_id=record.subscription_id,
        status=record.status,
        attempt_count=record.attempt_count,
        replay_count=record.replay_count,
        next_attempt_at=moment_or_null(record.next_attempt_at_ms),
        created_at=format_timestamp(id_made_at_ms(record.delivery_id)),
        finished_at=moment_or_null(record.finished_at_ms),
        dead_letter_reason=record.reason,
    )


def shown_history(history: DeliveryHistory) -> DeliveryWithAttempts:
    """A delivery with its attempts."""
    record = history.delivery
    return DeliveryWithAttempts(
        **msgspec.structs.asdict(shown_delivery(record)),
        attempts=[
            shown_attempt(one, record.event_id, record.form, record.hops)
            for one in history.attempts
        ],
    )


def shown_attempt(attempt: Attempt, event_id: str, form: Form, hops: int = 0) -> ShownAttempt:
    """An attempt as it is answered, its request told anew from what is known of it."""
    body, encoding = _readable(attempt.response_body)
    return ShownAttempt(
        attempt_id=attempt.attempt_id,
        number=attempt.number,
        started_at=format_timestamp(attempt.started_at_ms),
        duration_ms=attempt.duration_ms,
        outcome=attempt.outcome,
        status_code=attempt.status_code,
        error_class=attempt.error_class,
        error_detail=attempt.error_detail,
        request_headers={
            "content-type": media_type(form),
            "user-agent": f"Tidings/{attempt.sent_by}",
            "webhook-id": event_id,
            "webhook-timestamp": str(attempt.started_at_ms // 1_000),
            "webhook-signature": HIDDEN,
            **({"webhook-hops": str(hops)} if hops else {}),
            **dict.fromkeys(attempt.custom_header_names, HIDDEN),
        },
        response_headers={
            name: HIDDEN if name in _SECRET_ANSWER_HEADERS else value
            for name, value in attempt.response_headers
        },
        response_body=body,
        response_body_encoding=encoding,
    )


def begun_replay(begun: Begun) -> BegunReplay:
    """The answer to a replay in bulk."""
    return BegunReplay(replay_id=begun.replay_id, deliveries=begun.deliveries)


def shown_replay(replay: Replay) -> ShownReplay:
    """The progress of a replay."""
    scope = replay.scope
    return ShownReplay(
        replay_id=replay.replay_id,
        tenant_id=scope.tenant_id,
        status="running" if replay.finished_at_ms is None else "finished",
        only=scope.only,
        subscription_id=scope.subscription_id,
        event_type=scope.patterns,
        since=moment_or_null(scope.since_ms),
        until=moment_or_null(scope.until_ms),
        deliveries=replay.total,
        done=replay.done,
        created_at=format_timestamp(replay.created_at_ms),
        finished_at=moment_or_null(replay.finished_at_ms),
    )


def _readable(body: bytes) -> tuple[str, Literal["text", "base64"]]:
    try:
        return body.decode("utf-8"), "text"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii"), "base64"
