"""What is put down of a change: all that differs, and nothing that is secret."""

from dataclasses import fields, replace
from typing import Any

import msgspec
import pytest

from tests.support.values import NOW_MS, a_subscription
from tidings.core.audit import LEFT_OUT, SHOWN, TOLD_OTHERWISE, changed, created
from tidings.core.retry import RetryPolicy
from tidings.core.subscription import DisabledReason, SigningSecret, Status, Subscription

SECRET, HEADER = "whsec_never_to_be_told", "Bearer never-to-be-told"


def a_full_one(**members: Any) -> Subscription:
    given: dict[str, Any] = {
        "secrets": (SigningSecret(SECRET, NOW_MS),),
        "headers": (("Authorization", HEADER),),
        "metadata": {"shop": "one"},
        **members,
    }
    return a_subscription("order.*", **given)


def test_of_every_member_it_is_decided_how_it_is_told() -> None:
    """A new member must be put into one of the three, so that no secret slips in."""
    told = [*SHOWN, *TOLD_OTHERWISE, *LEFT_OUT]
    assert sorted(told) == sorted(field.name for field in fields(Subscription))


def test_a_creation_tells_everything_but_secrets() -> None:
    record = created(a_full_one(), "key_1")
    assert (record.action, record.by, record.before) == ("subscription.created", "key_1", None)
    assert record.after is not None
    assert record.after["headers"] == ["Authorization"]
    assert record.after["secrets"] == [{"created_at_ms": NOW_MS, "expires_at_ms": None}]
    text = msgspec.json.encode(record).decode()
    assert SECRET not in text
    assert "never-to-be-told" not in text


def test_a_token_in_a_callback_url_is_not_put_down() -> None:
    old = a_full_one(callback_url="https://example.com/in?token=never-to-be-told")
    new = replace(old, callback_url="https://example.com/in?token=never-to-be-told-either")
    told = {"callback_url": "https://example.com/in?[hidden]"}
    record = changed(old, new, "key_1")
    assert (record.before, record.after) == (told, told)


@pytest.mark.parametrize(
    ("members", "action", "before", "after"),
    [
        ({"status": Status.PAUSED}, "paused", {"status": "active"}, {"status": "paused"}),
        (
            {"status": Status.DISABLED, "disabled_reason": DisabledReason.GONE},
            "disabled",
            {"status": "active", "disabled_reason": None},
            {"status": "disabled", "disabled_reason": "gone"},
        ),
        (
            {"callback_url": "https://example.com/other", "headers": ()},
            "updated",
            {"callback_url": "https://example.com/in", "headers": ["Authorization"]},
            {"callback_url": "https://example.com/other", "headers": []},
        ),
        (
            {"status": Status.ACTIVE, "must_prove": False, "verified_at_ms": NOW_MS},
            "verified",
            None,
            {"status": "active", "must_prove": False, "verified_at_ms": NOW_MS},
        ),
        (
            {"retry_policy": RetryPolicy((1.0,)), "description": "a"},
            "updated",
            None,
            {"retry_policy": [1.0], "description": "a"},
        ),
        (
            {"headers": (("Authorization", "another value"),)},
            "updated",
            {"headers": ["Authorization"]},
            {"headers": ["Authorization"]},
        ),
    ],
)
def test_a_change_tells_what_it_was_and_what_it_is(
    members: dict[str, Any], action: str, before: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    old = a_full_one()
    if action == "verified":
        old = replace(old, status=Status.PENDING_VERIFICATION, must_prove=True)
    new = replace(old, **members, version=old.version + 1, updated_at_ms=NOW_MS + 1)
    record = msgspec.to_builtins(changed(old, new, "key_1"))
    assert record["action"] == f"subscription.{action}"
    assert record["after"] == after
    if before is not None:
        assert record["before"] == before


def test_a_resume_and_a_deletion_have_their_own_names() -> None:
    old = a_full_one(status=Status.PAUSED)
    assert changed(old, replace(old, status=Status.ACTIVE), "").action == "subscription.resumed"
    gone = replace(old, status=Status.DELETED, secrets=(), headers=())
    assert changed(old, gone, "").action == "subscription.deleted"


def test_a_rotation_tells_when_and_not_what() -> None:
    old = a_full_one()
    fresh = SigningSecret("whsec_the_next_one", NOW_MS + 5)
    kept = replace(old.secrets[0], expires_at_ms=NOW_MS + 9)
    record = changed(old, replace(old, secrets=(fresh, kept)), "key_1")
    assert record.action == "subscription.secret_rotated"
    assert record.after == {
        "secrets": [
            {"created_at_ms": NOW_MS + 5, "expires_at_ms": None},
            {"created_at_ms": NOW_MS, "expires_at_ms": NOW_MS + 9},
        ]
    }
    # A change of something else may forget secrets that have run out.
    later = replace(old, secrets=(fresh,), description="a")
    assert changed(replace(old, secrets=(fresh, kept)), later, "").action == "subscription.updated"
