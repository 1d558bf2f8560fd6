"""Sealed values open with their key and for what they belong to, and not otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.storage.sealing import KEY_BYTES, CannotOpen, Sealer

KEY, OTHER = b"a" * KEY_BYTES, b"b" * KEY_BYTES


@given(st.binary(max_size=1_000), st.text(max_size=50))
def test_what_is_sealed_can_be_opened(value: bytes, owner: str) -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(value, owner)
    assert sealer.open(sealed, owner) == value
    assert sealer.seal(value, owner) != sealed


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_is_noticed(place: int, change: int) -> None:
    sealed = bytearray(Sealer(KEY).seal(b"secret", "a"))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(CannotOpen):
        Sealer(KEY).open(bytes(sealed), "a")


def test_another_row_and_another_key_do_not_open() -> None:
    sealed = Sealer(KEY).seal(b"secret", "secret:default:sub_1")
    with pytest.raises(CannotOpen):
        Sealer(KEY).open(sealed, "secret:default:sub_2")
    with pytest.raises(CannotOpen):
        Sealer(OTHER).open(sealed, "secret:default:sub_1")
    assert Sealer(OTHER, KEY).open(sealed, "secret:default:sub_1") == b"secret"


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(40), b"\x02" + bytes(60)])
def test_nonsense_does_not_open(sealed: bytes) -> None:
    with pytest.raises(CannotOpen):
        Sealer(KEY).open(sealed, "a")
