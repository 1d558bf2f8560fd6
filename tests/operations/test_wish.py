"""Wishes: what a subscriber may say, and that nothing of it gets lost."""

from dataclasses import fields

import pytest

from tidings.core.addresses import AddressRules
from tidings.core.refusals import CallbackUrlRefused, ValidationFailed
from tidings.core.retry import RetryPolicy
from tidings.core.subscription import SigningSecret, Subscription
from tidings.operations.wish import Wish, wish_of

WISH = Wish(
    event_type="order.*",
    callback_url="https://client.example.com/",
    description="Orders",
    headers={"X-Token": "value"},
    ordering_enabled=True,
    retry_policy=RetryPolicy((1.0,)),
    rate_limit_per_second=2.0,
    timeout_seconds=3,
    metadata={"a": "b"},
)
SUBSCRIPTION = Subscription(
    subscription_id="sub_1",
    tenant_id="acme",
    event_type="a",
    callback_url="https://other.example.com/",
    created_at_ms=1,
    updated_at_ms=2,
    secrets=(SigningSecret("whsec_abc123", 1),),
    version=3,
)


def test_a_wish_is_found_again_in_its_subscription() -> None:
    granted = WISH.applied_to(SUBSCRIPTION)
    assert wish_of(granted) == WISH
    for one in fields(Subscription):
        if one.name not in {wished.name for wished in fields(Wish)}:
            assert getattr(granted, one.name) == getattr(SUBSCRIPTION, one.name)


def test_a_good_wish_passes() -> None:
    WISH.check(AddressRules())


def test_all_that_is_wrong_is_told_at_once() -> None:
    wish = Wish(
        event_type="a..b",
        callback_url="https://client.example.com/",
        headers={"Host": "x", "X A": "y"},
    )
    with pytest.raises(ValidationFailed) as caught:
        wish.check(AddressRules())
    pointers = [fault.pointer for fault in caught.value.faults]
    assert pointers == ["/eventType", "/headers/Host", "/headers/X A"]


def test_a_url_is_judged_when_it_changes() -> None:
    inner = Wish(event_type="a", callback_url="https://10.0.0.1/")
    with pytest.raises(CallbackUrlRefused):
        inner.check(AddressRules())
    with pytest.raises(CallbackUrlRefused):
        inner.check(AddressRules(), before=WISH)
    inner.check(AddressRules(), before=inner)
