"""Audit records: who changed what in the configuration, without a word that is secret."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import msgspec

from tidings.core.subscription import Status, Subscription

NOBODY: Final = ""
"""Who did what Tidings did by itself, or what was asked for without a key in development mode."""

SHOWN: Final = (
    "event_type",
    "callback_url",
    "status",
    "disabled_reason",
    "description",
    "content_filter",
    "ordering_enabled",
    "retry_policy",
    "rate_limit_per_second",
    "timeout_seconds",
    "payload_format",
    "thin_above_bytes",
    "metadata",
    "must_prove",
    "verified_at_ms",
)
"""Members of a subscription that are put down as they are."""
TOLD_OTHERWISE: Final = ("secrets", "headers")
"""Members that hold secrets: of these, times and names are put down."""
LEFT_OUT: Final = ("subscription_id", "tenant_id", "created_at_ms", "updated_at_ms", "version")
"""Members that say nothing about a change."""

_TURNED: Final[Mapping[Status, str]] = {
    Status.ACTIVE: "resumed",
    Status.PAUSED: "paused",
    Status.DISABLED: "disabled",
    Status.DELETED: "deleted",
}

Members = Mapping[str, Any]


class AuditRecord(msgspec.Struct, frozen=True, gc=False):
    """One change: what was done, by the key `by`, to which object of which tenant.

    `action` is the kind of object and a past tense, such as ``subscription.paused``. `before` and
    `after` hold the members that differ; both are None where there is nothing to tell.
    """

    action: str
    by: str
    tenant_id: str | None
    object_id: str
    before: Members | None = None
    after: Members | None = None


def created(subscription: Subscription, by: str) -> AuditRecord:
    """The record of a new subscription."""
    return AuditRecord(
        "subscription.created",
        by,
        subscription.tenant_id,
        subscription.subscription_id,
        None,
        _told(subscription),
    )


def changed(old: Subscription, new: Subscription, by: str) -> AuditRecord:
    """The record of a change of a subscription."""
    before, after = _told(old), _told(new)
    # Of what is secret only the values may differ, which are not told.
    names = [
        name
        for name in after
        if before[name] != after[name] or getattr(old, name) != getattr(new, name)
    ]
    return AuditRecord(
        f"subscription.{_action(old, new)}",
        by,
        new.tenant_id,
        new.subscription_id,
        {name: before[name] for name in names},
        {name: after[name] for name in names},
    )


def _action(old: Subscription, new: Subscription) -> str:
    if new.status is Status.DELETED:
        return "deleted"
    if new.verified_at_ms is not None and new.verified_at_ms != old.verified_at_ms:
        return "verified"
    if new.callback_url == old.callback_url and new.status is not old.status:
        return _TURNED.get(new.status, "updated")
    # A change of anything else also forgets secrets that have expired, but makes none.
    if {one.secret for one in new.secrets} - {one.secret for one in old.secrets}:
        return "secret_rotated"
    return "updated"


def _told(subscription: Subscription) -> dict[str, Any]:
    """The members that are put down, as values of JSON."""
    told: dict[str, Any] = {name: getattr(subscription, name) for name in SHOWN}
    told["callback_url"] = _without_query(subscription.callback_url)
    told["retry_policy"] = list(subscription.retry_policy.waits_seconds)
    told["headers"] = [name for name, _ in subscription.headers]
    told["secrets"] = [
        {name: value for name, value in asdict(one).items() if name != "secret"}
        for one in subscription.secrets
    ]
    return told


def _without_query(url: str) -> str:
    """A URL as it is put down: a query may hold a token, and outlives its subscription here."""
    place, mark, _ = url.partition("?")
    return f"{place}?[hidden]" if mark else place
