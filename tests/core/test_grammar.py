"""What ids and keys may look like."""

import pytest

from tidings.core.grammar import (
    hops_of,
    ordering_key_fault,
    public_id_fault,
    unquoted_idempotency_key,
)


@pytest.mark.parametrize("text", ["a", "evt_567", "A-Z_09", "x" * 128])
def test_ids_are_letters_digits_and_two_marks(text: str) -> None:
    assert public_id_fault(text) is None


@pytest.mark.parametrize("text", ["", "x" * 129, "a b", "a.b", "a\n", "ä", "*", "a/b", "a\0"])
def test_other_texts_are_no_ids(text: str) -> None:
    assert public_id_fault(text)


@pytest.mark.parametrize("text", ["a", "customer 17", '~!"#', "x" * 128])
def test_ordering_keys_are_printable(text: str) -> None:
    assert ordering_key_fault(text) is None


@pytest.mark.parametrize("text", ["", "x" * 129, "a\n", "a\t", "ä", "\x7f"])
def test_other_texts_are_no_ordering_keys(text: str) -> None:
    assert ordering_key_fault(text)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("8e03978e-40d5", "8e03978e-40d5"),
        ('"8e03978e-40d5"', "8e03978e-40d5"),
        ('  "a b" ', "a b"),
        (r'"a \"b\" \\"', r'a "b" \ '.strip()),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
    ],
)
def test_an_idempotency_key_is_the_same_with_and_without_quotes(value: str, key: str) -> None:
    assert unquoted_idempotency_key(value) == key


@pytest.mark.parametrize("value", ["", "  ", '""', '"', '"a', "x" * 256, "é", "a\x01", '"\t"'])
def test_other_values_hold_no_idempotency_key(value: str) -> None:
    assert unquoted_idempotency_key(value) is None


@pytest.mark.parametrize(("value", "hops"), [("0", 0), ("7", 7), (" 12\t", 12), ("999", 999)])
def test_hops_are_a_number(value: str, hops: int) -> None:
    assert hops_of(value) == hops


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "1000", "0x1", "\u0661", "1 2", "1\n"])
def test_other_values_are_no_hops(value: str) -> None:
    assert hops_of(value) is None
