"""The frozen body and the fingerprint of an event."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tidings.core.event import Event, content_hash, data_of, frozen_body

OCCURRED_AT = "2024-05-04T12:00:00Z"


def test_the_body_is_that_of_the_specification() -> None:
    data = b'{"orderId":"or_12345","trackingNumber":"1Z999"}'
    body = frozen_body("evt_567", "order.shipped", OCCURRED_AT, data)
    assert body == (
        b'{"eventId":"evt_567","eventType":"order.shipped",'
        b'"occurredAt":"2024-05-04T12:00:00Z","data":' + data + b"}"
    )


@given(
    data=st.dictionaries(
        st.text(), st.recursive(st.none() | st.text() | st.floats(allow_nan=False), st.lists)
    )
)
def test_data_comes_back_byte_for_byte(data: dict[str, object]) -> None:
    raw = json.dumps(data, indent=1).encode()
    body = frozen_body("evt_1", "a.b", OCCURRED_AT, raw)
    assert data_of(body) == raw
    assert json.loads(body)["data"] == data


def test_erased_data_is_none() -> None:
    assert Event(1, "evt_1", "default", "a", OCCURRED_AT, None, b"").data is None


def test_each_part_counts_in_the_fingerprint_and_none_runs_into_another() -> None:
    given_parts = [
        ("a", None, None, b"{}"),
        ("a.b", None, None, b"{}"),
        ("a", "k", None, b"{}"),
        ("a", None, "k", b"{}"),
        ("a", None, None, b"{ }"),
    ]
    assert len({content_hash(*parts) for parts in given_parts}) == len(given_parts)
    assert content_hash("a", "k", None, b"{}") == content_hash("a", "k", None, b"{}")
