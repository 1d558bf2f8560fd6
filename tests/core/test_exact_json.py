"""Values keep every digit, and equality is that of JSON, not that of Python."""

from decimal import Decimal

import pytest

from tidings.core import exact_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9007199254740993", 9007199254740993),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("9007199254740993.0", Decimal("9007199254740993.0")),
        ("0.1", Decimal("0.1")),
        ("1e-999", Decimal("1e-999")),
        ("1e-99999999999999999999", 0),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_no_number_is_rounded(text: str, value: object) -> None:
    assert exact_json.decode(text) == value


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        ("1", "1.0", True),
        ("100", "1E2", True),
        ("0", "-0.0", True),
        ("9007199254740993", "9007199254740992.0", False),
        ("0.1", "0.10000000000000001", False),
        ("1", "true", False),
        ("0", "false", False),
        ("null", "false", False),
        ('"1"', "1", False),
        ('"\\u00e9"', '"é"', True),
        ('"e\\u0301"', '"é"', False),
        ('{"a": 1, "b": [2]}', '{"b": [2.0], "a": 1}', True),
        ('{"a": 1}', '{"a": 1, "b": null}', False),
        ("[1, 2]", "[2, 1]", False),
        ("[1]", "[true]", False),
        ("[]", "{}", False),
    ],
)
def test_two_values_are_equal_when_they_are_the_same_json(
    one: str, other: str, are_equal: bool
) -> None:
    left, right = exact_json.decode(one), exact_json.decode(other)
    assert exact_json.equal(left, right) is are_equal
    assert exact_json.equal(right, left) is are_equal
