"""A delivery's life: the states, and every way from one to the next, as a table.

The diagram in the docs is printed from `TRANSITIONS`. While it is pending, a delivery may be
waiting for its turn, for a due time, behind another of its ordering key, or for an answer; these
are matters of the scheduler, not states.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from tidings.core.payload import Form


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD_LETTERED = "dead_lettered"
    CANCELLED = "cancelled"


class DeadLetterReason(StrEnum):
    """Why a delivery will not be tried again by itself."""

    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    GONE = "gone"
    SUBSCRIPTION_DISABLED = "subscription_disabled"
    ENDPOINT_UNAVAILABLE = "endpoint_unavailable"
    EXPIRED = "expired"


class Turn(StrEnum):
    """What happens in a delivery's life."""

    ATTEMPT_DELIVERED = "attempt_delivered"
    ATTEMPT_FAILED = "attempt_failed"
    LAST_ATTEMPT_FAILED = "last_attempt_failed"
    RECEIVER_GONE = "receiver_gone"
    SUBSCRIPTION_DISABLED = "subscription_disabled"
    SUBSCRIPTION_DELETED = "subscription_deleted"
    HELD_TOO_LONG = "held_too_long"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DATA_ERASED = "data_erased"
    DISCARDED = "discarded"
    REPLAYED = "replayed"


_PENDING = DeliveryStatus.PENDING
_DELIVERED = DeliveryStatus.DELIVERED
_DEAD = DeliveryStatus.DEAD_LETTERED
_CANCELLED = DeliveryStatus.CANCELLED

TRANSITIONS: Final[Mapping[tuple[DeliveryStatus, Turn], DeliveryStatus]] = {
    (_PENDING, Turn.ATTEMPT_DELIVERED): _DELIVERED,
    (_PENDING, Turn.ATTEMPT_FAILED): _PENDING,
    (_PENDING, Turn.LAST_ATTEMPT_FAILED): _DEAD,
    (_PENDING, Turn.RECEIVER_GONE): _DEAD,
    (_PENDING, Turn.SUBSCRIPTION_DISABLED): _DEAD,
    (_PENDING, Turn.SUBSCRIPTION_DELETED): _CANCELLED,
    (_PENDING, Turn.HELD_TOO_LONG): _DEAD,
    (_PENDING, Turn.EXPIRED): _DEAD,
    (_PENDING, Turn.CANCELLED): _CANCELLED,
    (_PENDING, Turn.DATA_ERASED): _CANCELLED,
    (_DEAD, Turn.DISCARDED): _CANCELLED,
    (_DEAD, Turn.REPLAYED): _PENDING,
    (_DELIVERED, Turn.REPLAYED): _PENDING,
}
"""Every step that is possible. Whatever is missing here is a bug, or refused to the client."""

REASONS: Final[Mapping[Turn, DeadLetterReason]] = {
    Turn.LAST_ATTEMPT_FAILED: DeadLetterReason.ATTEMPTS_EXHAUSTED,
    Turn.RECEIVER_GONE: DeadLetterReason.GONE,
    Turn.SUBSCRIPTION_DISABLED: DeadLetterReason.SUBSCRIPTION_DISABLED,
    Turn.HELD_TOO_LONG: DeadLetterReason.ENDPOINT_UNAVAILABLE,
    Turn.EXPIRED: DeadLetterReason.EXPIRED,
}
"""The reason that a dead letter carries, by the turn that made it one."""


class IllegalTurn(Exception):
    """A step that the table does not have. Nothing was changed."""


class Ending(msgspec.Struct, frozen=True, gc=False):
    """How a round of a delivery ended."""

    status: DeliveryStatus
    reason: DeadLetterReason | None = None


def status_after(status: DeliveryStatus, turn: Turn) -> DeliveryStatus:
    """The status that a turn leads to. Raises `IllegalTurn` for one that the table lacks."""
    try:
        return TRANSITIONS[status, turn]
    except KeyError:
        raise IllegalTurn(f"a delivery that is {status} knows no turn {turn}") from None


def ending_of(turn: Turn) -> Ending:
    """The end that a turn puts to a pending delivery."""
    status = status_after(DeliveryStatus.PENDING, turn)
    if status is DeliveryStatus.PENDING:
        raise IllegalTurn(f"the turn {turn} does not end a delivery")
    return Ending(status, REASONS.get(turn))


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """An unfinished delivery as the queue holds it: one narrow row.

    `seq` names the row; a replay of the same delivery is a new row with a new `seq`.
    `attempt_count` counts every attempt ever made, `schedule_position` only those of this round
    that used up the retry schedule. Without `due_at_ms` it may go at once (or waits behind another
    of its ordering key). While a manual retry stands before the schedule, `kept_due_at_ms` keeps
    the schedule's own time (0: at once). With `is_single` the round has one attempt. `form` is
    what it sends, chosen when the delivery was created.
    """

    seq: int
    delivery_id: str
    tenant_id: str
    subscription_id: str
    event_seq: int
    round: int = 0
    attempt_count: int = 0
    schedule_position: int = 0
    due_at_ms: int | None = None
    ordering_key: str | None = None
    kept_due_at_ms: int | None = None
    is_single: bool = False
    form: Form = Form.TIDINGS

    @property
    def is_manual(self) -> bool:
        """Whether its next attempt was asked for by a person, besides the schedule."""
        return self.kept_due_at_ms is not None

    @property
    def is_again(self) -> bool:
        """Whether its next attempt repeats something, so that fresh deliveries go before it."""
        return self.round > 0 or self.attempt_count > 0

    @property
    def is_fresh(self) -> bool:
        """Whether it waits for nothing but its turn, and was never tried."""
        return self.due_at_ms is None and not self.is_again
