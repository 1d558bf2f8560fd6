"""Who wants what, where and how; and the states of a subscription as a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from tidings.core import limits
from tidings.core.payload import Form, PayloadFormat, form_of
from tidings.core.refusals import InvalidState
from tidings.core.retry import DEFAULT_RETRY_POLICY, RetryPolicy


class Status(StrEnum):
    """What a subscription is doing."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    PENDING_VERIFICATION = "pending_verification"
    DELETED = "deleted"


class DisabledReason(StrEnum):
    """Why a subscription was switched off."""

    GONE = "gone"
    FAILING = "failing"
    OPERATOR = "operator"


class Change(StrEnum):
    """What can be asked of a subscription's state.

    `START_OVER` is what another callback URL means where endpoints must prove that they want
    events, and a resume where that was never done.
    """

    PAUSE = "pause"
    RESUME = "resume"
    DISABLE = "disable"
    VERIFY = "verify"
    START_OVER = "start_over"
    DELETE = "delete"


TRANSITIONS: Final[Mapping[tuple[Status, Change], Status]] = {
    (Status.ACTIVE, Change.PAUSE): Status.PAUSED,
    (Status.ACTIVE, Change.RESUME): Status.ACTIVE,
    (Status.ACTIVE, Change.DISABLE): Status.DISABLED,
    (Status.ACTIVE, Change.VERIFY): Status.ACTIVE,
    (Status.ACTIVE, Change.START_OVER): Status.PENDING_VERIFICATION,
    (Status.ACTIVE, Change.DELETE): Status.DELETED,
    (Status.PAUSED, Change.PAUSE): Status.PAUSED,
    (Status.PAUSED, Change.RESUME): Status.ACTIVE,
    (Status.PAUSED, Change.DISABLE): Status.DISABLED,
    (Status.PAUSED, Change.START_OVER): Status.PENDING_VERIFICATION,
    (Status.PAUSED, Change.DELETE): Status.DELETED,
    (Status.DISABLED, Change.RESUME): Status.ACTIVE,
    (Status.DISABLED, Change.DISABLE): Status.DISABLED,
    (Status.DISABLED, Change.START_OVER): Status.PENDING_VERIFICATION,
    (Status.DISABLED, Change.DELETE): Status.DELETED,
    (Status.PENDING_VERIFICATION, Change.VERIFY): Status.ACTIVE,
    (Status.PENDING_VERIFICATION, Change.START_OVER): Status.PENDING_VERIFICATION,
    (Status.PENDING_VERIFICATION, Change.DISABLE): Status.DISABLED,
    (Status.PENDING_VERIFICATION, Change.DELETE): Status.DELETED,
}
"""Every change that is possible. What is missing here is refused with `InvalidState`."""


def status_after(status: Status, change: Change) -> Status:
    """The status that a change leads to. Raises `InvalidState` for one that is not possible."""
    try:
        return TRANSITIONS[status, change]
    except KeyError:
        verb = change.replace("_", " ")
        detail = f"a subscription that is {status} cannot {verb}"
        if status is Status.PENDING_VERIFICATION:
            detail += "; verify it first"
        raise InvalidState(detail) from None


def takes_no_events(status: Status) -> InvalidState:
    """The refusal to begin deliveries for a subscription in this state, and what leads out."""
    way_out = {Status.DISABLED: "resume", Status.PENDING_VERIFICATION: "verify"}.get(status)
    hint = "" if way_out is None else f"; {way_out} it first"
    return InvalidState(f"the subscription is {status}{hint}")


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A secret as the subscriber knows it, and how long it signs."""

    secret: str
    created_at_ms: int
    expires_at_ms: int | None = None

    def is_live(self, now_ms: int) -> bool:
        """Whether deliveries are still signed with it."""
        return self.expires_at_ms is None or now_ms < self.expires_at_ms


@dataclass(frozen=True, slots=True)
class Subscription:
    """A standing wish: these event types, to this URL, with these secrets and this policy.

    `event_type` is the text of patterns as given, `content_filter` the JSON text of the filter on
    the data of events, if it has one. `headers` are the subscriber's own, secret.
    `secrets` are newest first; empty when they cannot be opened, and then nothing is sent.
    `must_prove` says that nothing may be sent before the endpoint has proven that it wants events,
    `verified_at_ms` when it did; both are about the present callback URL.
    `version` rises with each change and makes the ETag.
    """

    subscription_id: str
    tenant_id: str
    event_type: str
    callback_url: str
    created_at_ms: int
    updated_at_ms: int
    secrets: tuple[SigningSecret, ...] = ()
    status: Status = Status.ACTIVE
    disabled_reason: DisabledReason | None = None
    description: str | None = None
    content_filter: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    ordering_enabled: bool = False
    retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY
    rate_limit_per_second: float | None = None
    timeout_seconds: int = limits.TIMEOUT_SECONDS_DEFAULT
    payload_format: PayloadFormat = PayloadFormat.TIDINGS
    thin_above_bytes: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    must_prove: bool = False
    verified_at_ms: int | None = None
    version: int = 0

    @property
    def takes_events(self) -> bool:
        """Whether new events create deliveries for it."""
        return self.status in (Status.ACTIVE, Status.PAUSED)

    @property
    def may_send(self) -> bool:
        """Whether its deliveries may be tried."""
        return self.status is Status.ACTIVE

    @property
    def is_unopened(self) -> bool:
        """Whether its secrets cannot be opened, so that nothing is sent to it."""
        return not self.secrets and self.status is not Status.DELETED

    @property
    def is_over(self) -> bool:
        """Whether its unfinished deliveries end, instead of going on or waiting."""
        return self.status in (Status.DISABLED, Status.DELETED)

    def form_of(self, body_bytes: int) -> Form:
        """What a new delivery sends for an event whose frozen body has so many bytes."""
        return form_of(self.payload_format, self.thin_above_bytes, body_bytes)

    def live_secrets(self, now_ms: int) -> tuple[SigningSecret, ...]:
        """The secrets that sign at this moment, newest first."""
        if len(self.secrets) == 1 and self.secrets[0].expires_at_ms is None:
            return self.secrets
        return tuple(secret for secret in self.secrets if secret.is_live(now_ms))


def turned(subscription: Subscription, change: Change, *, now_ms: int) -> Subscription:
    """The subscription after a change of its state; the very same if it is in it already.

    Raises `InvalidState`. A resume leads no way around the proof that an endpoint still owes.
    """
    is_back = change is Change.RESUME and subscription.status is Status.DISABLED
    if is_back and subscription.must_prove:
        change = Change.START_OVER
    status = status_after(subscription.status, change)
    if status is subscription.status:
        return subscription
    reason = DisabledReason.OPERATOR if status is Status.DISABLED else None
    return touched(replace(subscription, status=status, disabled_reason=reason), now_ms)


def touched(changed: Subscription, now_ms: int) -> Subscription:
    """A changed subscription under its next version, without secrets that have expired."""
    return replace(
        changed,
        secrets=changed.live_secrets(now_ms),
        updated_at_ms=now_ms,
        version=changed.version + 1,
    )


def disabled(subscription: Subscription, reason: DisabledReason, *, now_ms: int) -> Subscription:
    """The subscription switched off; the very same if it is off already or deleted."""
    if subscription.status in (Status.DISABLED, Status.DELETED):
        return subscription
    return replace(
        subscription,
        status=status_after(subscription.status, Change.DISABLE),
        disabled_reason=reason,
        updated_at_ms=now_ms,
        version=subscription.version + 1,
    )
