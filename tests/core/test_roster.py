"""What is in memory, and who is not known yet."""

import dataclasses

from msgspec.structs import replace

from tests.support.values import NOW_MS, a_subscription
from tidings.core.commands import LoadSubscription
from tidings.core.delivery import Delivery
from tidings.core.roster import Roster
from tidings.core.subscription import Status

ROW = Delivery(1, "dlv_1", "default", "sub_1", 1)


def test_a_stranger_is_asked_for_once() -> None:
    roster = Roster()
    assert roster.endpoint("sub_1", NOW_MS) is None
    assert roster.endpoint("sub_1", NOW_MS) is None
    assert roster.commands == [LoadSubscription("sub_1")]


def test_endpoints_of_a_tenant_share_its_clock() -> None:
    roster = Roster()
    for name in ("one", "two"):
        roster.subscriptions[name] = a_subscription(subscription_id=name)
    one, two = roster.endpoint("one", NOW_MS), roster.endpoint("two", NOW_MS)
    assert one is not None
    assert two is not None
    assert one.tenant is two.tenant
    assert roster.endpoint("one", NOW_MS) is one


def test_only_the_present_version_of_a_row_counts() -> None:
    roster = Roster()
    roster.subscriptions["sub_1"] = a_subscription(subscription_id="sub_1")
    endpoint = roster.endpoint("sub_1", NOW_MS)
    assert endpoint is not None
    assert roster.is_new(ROW)
    roster.make_ready(endpoint, ROW)
    assert not roster.is_new(ROW)
    assert roster.is_present(ROW)
    newer = replace(ROW, kept_due_at_ms=0)
    roster.known[1] = newer
    assert not roster.is_present(ROW)
    assert roster.is_present(newer)


def test_rows_that_wait_can_be_forgotten() -> None:
    roster = Roster()
    roster.subscriptions["sub_1"] = a_subscription(subscription_id="sub_1")
    endpoint = roster.endpoint("sub_1", NOW_MS)
    assert endpoint is not None
    roster.make_ready(endpoint, ROW)
    roster.drop_ready(endpoint)
    assert roster.known == {}
    assert endpoint.ready_rows == 0


def test_subscriptions_whose_secrets_do_not_open_are_known_until_they_do() -> None:
    roster = Roster()
    sound = a_subscription(subscription_id="sub_1")
    roster.put(dataclasses.replace(sound, secrets=()))
    assert roster.unopened == {"sub_1"}
    roster.put(sound)
    assert roster.unopened == set()
    roster.put(dataclasses.replace(sound, secrets=()))
    roster.put(dataclasses.replace(sound, secrets=(), status=Status.DELETED))
    assert roster.unopened == set()
