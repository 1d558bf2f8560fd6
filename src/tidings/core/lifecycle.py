"""Lifecycle events: what Tidings itself publishes about subscriptions and their deliveries.

They are ordinary events of the tenant, with types that no publisher can use and that only patterns
reach which say ``tidings`` literally. A subscription never gets events about itself, and deliveries
of these events cause none, so that nothing goes round in circles.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tidings.core.delivery import DeadLetterReason, Ending
from tidings.core.health import Health
from tidings.core.subscription import Status, Subscription


class LifecycleType(StrEnum):
    """The event types of lifecycle events."""

    CREATED = "tidings.subscription.created"
    UPDATED = "tidings.subscription.updated"
    PAUSED = "tidings.subscription.paused"
    RESUMED = "tidings.subscription.resumed"
    DISABLED = "tidings.subscription.disabled"
    DELETED = "tidings.subscription.deleted"
    SECRET_ROTATED = "tidings.subscription.secret_rotated"
    FAILING = "tidings.subscription.failing"
    RECOVERED = "tidings.subscription.recovered"
    DEAD_LETTERED = "tidings.delivery.dead_lettered"


_BY_STATUS: Final[Mapping[Status, LifecycleType]] = {
    Status.PAUSED: LifecycleType.PAUSED,
    Status.DISABLED: LifecycleType.DISABLED,
    Status.DELETED: LifecycleType.DELETED,
}
_RESUMED_FROM: Final = frozenset({Status.PAUSED, Status.DISABLED})
_TOLD_BY_THE_SUBSCRIPTION: Final = frozenset({DeadLetterReason.SUBSCRIPTION_DISABLED})


def change_told(before: Subscription, after: Subscription) -> LifecycleType:
    """The event that tells of a changed subscription."""
    if after.status is not before.status:
        if after.status is Status.ACTIVE and before.status in _RESUMED_FROM:
            return LifecycleType.RESUMED
        return _BY_STATUS.get(after.status, LifecycleType.UPDATED)
    # Old secrets also go when they expire; a rotation puts a new one before them.
    if after.secrets[:1] != before.secrets[:1]:
        return LifecycleType.SECRET_ROTATED
    return LifecycleType.UPDATED


def health_told(before: Health, after: Health) -> LifecycleType | None:
    """The event that tells of a change in an endpoint's health, if it is worth one."""
    if after.is_told is before.is_told:
        return None
    return LifecycleType.FAILING if after.is_told else LifecycleType.RECOVERED


def is_ending_told(ending: Ending) -> bool:
    """Whether the end of a delivery is told by an event of its own.

    That a subscription was disabled is told once, with the number of its dead letters.
    """
    return ending.reason is not None and ending.reason not in _TOLD_BY_THE_SUBSCRIPTION
