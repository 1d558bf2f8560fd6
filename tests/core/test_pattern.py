"""Event types and the patterns that select them."""

import pytest

from tidings.core.pattern import event_type_fault, matches, patterns_fault, reaches_only_reserved


@pytest.mark.parametrize(
    ("patterns", "event_type", "expected"),
    [
        ("order.shipped", "order.shipped", True),
        ("order.shipped", "order.shipped.late", False),
        ("order.shipped", "order", False),
        ("order.*", "order.shipped", True),
        ("order.*", "order.item.added", True),
        ("order.*", "order", False),
        ("*.shipped", "order.shipped", True),
        ("*.shipped", "order.item.shipped", False),
        ("order.*.added", "order.item.added", True),
        ("order.*.added", "order.item.big.added", False),
        ("*", "anything.at.all", True),
        ("*", "one", True),
        ("*", "tidings.subscription.created", False),
        ("*.created", "tidings.created", False),
        ("tidings.*", "tidings.subscription.created", True),
        ("tidings.*.created", "tidings.subscription.created", True),
        ("a.b, c.d ,e.*", "c.d", True),
        ("a.b, c.d ,e.*", "e.f.g", True),
        ("a.b,c.d", "a.d", False),
        ("Order.shipped", "order.shipped", False),
    ],
)
def test_patterns_select(patterns: str, event_type: str, expected: bool) -> None:
    assert patterns_fault(patterns) is None
    assert matches(patterns, event_type) is expected


@pytest.mark.parametrize(
    "patterns",
    [
        *("", " ", ".", "a.", ".a", "a..b", "a.b*", "**", "a b", "a,", ",a", "ä", "a.b\n", "a/b"),
        ",".join(["a"] * 21),
        "a" * 129,
        "x" * 3_000,
    ],
)
def test_what_is_no_pattern_is_told(patterns: str) -> None:
    assert patterns_fault(patterns)


@pytest.mark.parametrize("event_type", ["a", "order.shipped", "A-b_c.1", "tidingsx.y", "a" * 128])
def test_event_types_that_may_be_published(event_type: str) -> None:
    assert event_type_fault(event_type) is None


@pytest.mark.parametrize(
    "event_type",
    [
        "",
        "tidings",
        "tidings.x",
        "a.*",
        "*",
        "a..b",
        ".a",
        "a.",
        "a b",
        "é",
        "a\n",
        "a" * 129,
        "\u0430.b",
    ],
)
def test_event_types_that_may_not(event_type: str) -> None:
    assert event_type_fault(event_type)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("tidings.*", True),
        ("tidings.subscription.*, tidings.*.dead_lettered", True),
        ("tidings", True),
        ("*", False),
        ("*.subscription.*", False),
        ("tidings.*,order.shipped", False),
        ("tidingsx.*", False),
    ],
)
def test_patterns_that_reach_our_own_event_types_alone_are_known(
    patterns: str, expected: bool
) -> None:
    assert reaches_only_reserved(patterns) is expected
