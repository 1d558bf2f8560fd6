"""Routing finds exactly the subscriptions whose patterns match, whatever came and went."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import a_subscription
from tidings.core.content_filter import EventData, FilterOutcome
from tidings.core.grammar import OPERATOR
from tidings.core.pattern import matches
from tidings.core.routing import Routing
from tidings.core.subscription import Status, Subscription

segments = st.sampled_from(["a", "b", "tidings", "*"])
patterns = st.lists(
    st.lists(segments, min_size=1, max_size=3).map(".".join), min_size=1, max_size=3
)
types = st.lists(st.sampled_from(["a", "b", "tidings"]), min_size=1, max_size=4).map(".".join)
steps = st.lists(
    st.tuples(
        st.sampled_from(["s1", "s2", "s3", "s4"]),
        st.sampled_from(["one", "other"]),
        patterns.map(",".join),
        st.sampled_from(Status),
        st.sampled_from([None, '{"n": 1}', '{"n": 2}']),
        st.booleans(),
    ),
    max_size=25,
)


@given(steps=steps, event_types=st.lists(types, min_size=1, max_size=6))
def test_it_answers_what_asking_everybody_would(
    steps: list[tuple[str, str, str, Status, str | None, bool]], event_types: list[str]
) -> None:
    routing = Routing()
    present: dict[str, Subscription] = {}
    for name, tenant, patterns_text, status, wanted, goes in steps:
        tenant_id = present[name].tenant_id if name in present else tenant
        if goes:
            routing.discard(name)
            present.pop(name, None)
            continue
        subscription = a_subscription(
            patterns_text,
            subscription_id=name,
            tenant_id=tenant_id,
            status=status,
            content_filter=wanted,
        )
        routing.put(subscription)
        present[name] = subscription
    for tenant in ("one", "other"):
        for event_type in event_types:
            expected = sorted(
                one.subscription_id
                for one in present.values()
                if one.tenant_id == tenant
                and one.takes_events
                and matches(one.event_type, event_type)
                and one.content_filter != '{"n": 2}'
            )
            found = routing.wanting(tenant, event_type, EventData(b'{"n": 1}'))
            assert [one.subscription_id for one in found] == expected
            assert all(routing.get(one.subscription_id) is one for one in found)
    live = {name for name, one in present.items() if one.takes_events}
    assert {one.subscription_id for one in routing} == live
    for tenant in ("one", "other"):
        assert routing.count(tenant) == sum(present[name].tenant_id == tenant for name in live)


def test_filters_are_asked_only_of_those_whose_pattern_matches() -> None:
    routing = Routing()
    for number in range(3):
        routing.put(
            a_subscription(
                f"type.{number}", subscription_id=f"s{number}", content_filter='{"n": {"$gt": 1}}'
            )
        )
    outcomes: Counter[FilterOutcome] = Counter()
    assert routing.wanting("default", "type.1", EventData(b'{"n": "1"}'), outcomes) == []
    assert outcomes == {FilterOutcome.TYPE_MISMATCH: 1}


def test_what_is_not_wanted_costs_no_memory() -> None:
    routing = Routing()
    for number in range(100):
        routing.put(
            a_subscription(f"a.*.n{number}", subscription_id=f"s{number}", content_filter="{}")
        )
    for number in range(100):
        routing.discard(f"s{number}")
    assert routing._tenants == {}
    assert routing._filters == {}


def test_the_operators_subscriptions_get_our_own_events_of_every_tenant() -> None:
    operators = a_subscription("tidings.*", tenant_id=OPERATOR)
    own = a_subscription("tidings.*,order.*", tenant_id="acme")
    routing = Routing([operators, own])
    nothing = EventData(b"{}")
    both = sorted([operators, own], key=lambda one: one.subscription_id)
    assert routing.wanting("acme", "tidings.subscription.paused", nothing) == both
    assert routing.wanting("zeta", "tidings.subscription.paused", nothing) == [operators]
    assert routing.wanting("acme", "order.shipped", nothing) == [own]
    routing.discard(operators.subscription_id)
    assert routing.wanting("zeta", "tidings.subscription.paused", nothing) == []
