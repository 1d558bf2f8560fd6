"""A subscription's states are its table."""

from itertools import product

import pytest

from tests.support.values import NOW_MS, a_subscription
from tidings.core.refusals import InvalidState
from tidings.core.subscription import (
    TRANSITIONS,
    Change,
    DisabledReason,
    SigningSecret,
    Status,
    disabled,
    status_after,
)


@pytest.mark.parametrize(("status", "change"), list(product(Status, Change)))
def test_every_change_is_in_the_table_or_refused(status: Status, change: Change) -> None:
    if (status, change) in TRANSITIONS:
        assert status_after(status, change) is TRANSITIONS[status, change]
    else:
        with pytest.raises(InvalidState):
            status_after(status, change)


def test_a_deleted_subscription_never_comes_back() -> None:
    assert not any(status is Status.DELETED for status, _ in TRANSITIONS)


@pytest.mark.parametrize(
    ("status", "takes_events", "may_send"),
    [
        (Status.ACTIVE, True, True),
        (Status.PAUSED, True, False),
        (Status.DISABLED, False, False),
        (Status.PENDING_VERIFICATION, False, False),
        (Status.DELETED, False, False),
    ],
)
def test_what_each_state_allows(status: Status, takes_events: bool, may_send: bool) -> None:
    subscription = a_subscription(status=status)
    assert (subscription.takes_events, subscription.may_send) == (takes_events, may_send)


def test_secrets_sign_until_they_expire() -> None:
    old = SigningSecret("old-secret", 0, expires_at_ms=100)
    new = SigningSecret("new-secret", 50)
    subscription = a_subscription(secrets=(new, old))
    assert subscription.live_secrets(99) == (new, old)
    assert subscription.live_secrets(100) == (new,)


def test_switching_off_happens_once_and_tells_why() -> None:
    off = disabled(a_subscription(), DisabledReason.GONE, now_ms=NOW_MS + 1)
    assert (off.status, off.disabled_reason) == (Status.DISABLED, DisabledReason.GONE)
    assert off.version == 1
    assert disabled(off, DisabledReason.FAILING, now_ms=NOW_MS + 2) is off
