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
    takes_no_events,
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
    ("status", "takes_events", "may_send", "is_over"),
    [
        (Status.ACTIVE, True, True, False),
        (Status.PAUSED, True, False, False),
        (Status.DISABLED, False, False, True),
        (Status.PENDING_VERIFICATION, False, False, False),
        (Status.DELETED, False, False, True),
    ],
)
def test_what_each_state_allows(
    status: Status, takes_events: bool, may_send: bool, is_over: bool
) -> None:
    one = a_subscription(status=status)
    assert (one.takes_events, one.may_send, one.is_over) == (takes_events, may_send, is_over)


def test_nothing_is_sent_to_an_unproven_endpoint_whatever_is_asked_of_its_state() -> None:
    ways_out = {
        change: after
        for (status, change), after in TRANSITIONS.items()
        if status is Status.PENDING_VERIFICATION
    }
    sending = [change for change, after in ways_out.items() if after is Status.ACTIVE]
    assert sending == [Change.VERIFY]


def test_what_waits_for_a_proof_says_what_to_do() -> None:
    with pytest.raises(InvalidState, match="verify it first"):
        status_after(Status.PENDING_VERIFICATION, Change.RESUME)
    assert takes_no_events(Status.PENDING_VERIFICATION).detail.endswith("; verify it first")
    assert takes_no_events(Status.DISABLED).detail.endswith("; resume it first")
    assert takes_no_events(Status.DELETED).detail == "the subscription is deleted"


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
