"""What clients write: bodies, queries, ids, patterns, moments, headers. Refused, or understood."""

import json
import re
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tidings.api.bodies import BodyReader
from tidings.api.dispatch import decoded_query
from tidings.api.publishing import event_reader, events_reader
from tidings.api.wire.queries import DeliveryListQuery, EventListQuery
from tidings.api.wire.subscriptions import (
    CreateWebhookSubscriptionRequest,
    PatchWebhookSubscriptionRequest,
)
from tidings.core import strict_json
from tidings.core.custom_headers import custom_header_faults
from tidings.core.event import data_of, frozen_body
from tidings.core.grammar import ordering_key_fault, public_id_fault, unquoted_idempotency_key
from tidings.core.pattern import event_type_fault, matches, patterns_fault
from tidings.core.refusals import MalformedJson, ValidationFailed
from tidings.core.timestamp import format_timestamp, normalised_timestamp, timestamp_ms
from tidings.signing import UnusableSecret, encode_key, key_of_secret

# What a double holds without loss, and texts without half surrogate pairs: what I-JSON allows.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5).filter(lambda name: name != "x"), inner, max_size=4)
    ),
    max_leaves=20,
)
TOKENS = st.sampled_from(
    [
        *'{}[]",: \n\t\0',
        *("null", "NaN", "-Infinity", "1e999", "-0", "\\ud800", "\\u0000", "\ufeff", "9" * 400),
        *('"a":1', '{"a":1,"a":2}', "[" * 80, "]" * 80, '"\\', "é", "\x7f"),
    ]
)
NEAR_JSON = st.one_of(
    st.binary(max_size=40),
    st.lists(TOKENS | st.text(max_size=3), max_size=12).map(lambda parts: "".join(parts).encode()),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.tuples(JSON, st.integers(0, 200), st.binary(max_size=2)).map(
        lambda drawn: _damaged(json.dumps(drawn[0]).encode(), drawn[1], drawn[2])
    ),
)
SEGMENTS = st.text(alphabet="abcXYZ019_-", min_size=1, max_size=6)
EVENT_TYPES = st.lists(SEGMENTS, min_size=1, max_size=4).map(".".join)
PATTERNS = st.lists(SEGMENTS | st.just("*"), min_size=1, max_size=4).map(".".join)
HEADER_TEXT = st.text(max_size=12) | st.sampled_from(
    ["host", "X-A", "Content-Length", "a\r\nHost: b", "", " a", "a ", "\0", "webhook-id", "é"]
)
MOMENTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="0123456789-:.TtZz+ ", max_size=35),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.tuples(st.datetimes(), st.integers(-30, 30), st.integers(0, 75)).map(
        lambda drawn: f"{drawn[0].isoformat()}{drawn[1]:+03d}:{drawn[2]:02d}"
    ),
)


def _damaged(body: bytes, place: int, piece: bytes) -> bytes:
    place %= len(body) + 1
    return body[:place] + piece + body[place + 1 :]


# --- JSON ----------------------------------------------------------------------------------------


@given(NEAR_JSON)
def test_bytes_are_strict_json_or_refused(body: bytes) -> None:
    for check in (strict_json.check_document, strict_json.check_envelope):
        try:
            check(body)
        except MalformedJson:
            continue
        # What was let through is read alike, and can be written again, by a lenient parser.
        json.dumps(json.loads(body), allow_nan=False).encode("utf-8")


@given(NEAR_JSON)
def test_an_outline_that_is_let_through_can_be_taken_apart(body: bytes) -> None:
    try:
        strict_json.check_outline(body)
    except MalformedJson:
        return
    # Its parts are checked later, one by one; only a number may still be one that overflows.
    assert body.decode("utf-8")
    msgspec.json.decode(body, type=msgspec.Raw)


@given(JSON)
def test_what_is_proper_json_is_let_through(value: Any) -> None:
    body = json.dumps(value, ensure_ascii=False).encode()
    strict_json.check_document(body)
    strict_json.check_envelope(body)


@given(st.dictionaries(st.text(max_size=5), JSON, min_size=1, max_size=4), st.data())
def test_a_name_that_stands_twice_is_refused_wherever_it_stands(
    members: dict[str, Any], data: st.DataObject
) -> None:
    twice = json.dumps(members)[:-1] + f",{json.dumps(data.draw(st.sampled_from([*members])))}:0}}"
    for body in (twice, f"[{twice}]", f'{{"outer":{twice}}}'):
        try:
            strict_json.check_document(body.encode())
        except MalformedJson:
            continue
        raise AssertionError(body)


READERS: list[BodyReader[Any]] = [
    event_reader(100_000),
    events_reader(),
    *(
        BodyReader(kind, bytes_max=100_000, check=strict_json.check_document)
        for kind in (CreateWebhookSubscriptionRequest, PatchWebhookSubscriptionRequest)
    ),
]
MEMBERS = st.sampled_from(
    [
        *("eventType", "callbackUrl", "secret", "data", "headers", "retryPolicy", "metadata"),
        *("events", "eventId", "occurredAt", "timeoutSeconds", "rateLimitPerSecond", "tenantId"),
        *("a/b~c", "\0"),
    ]
)


@given(NEAR_JSON | st.dictionaries(MEMBERS, JSON, max_size=5).map(msgspec.json.encode))
def test_a_body_is_decoded_or_refused(body: bytes) -> None:
    for reader in READERS:
        try:
            reader.decode(body)
        except (MalformedJson, ValidationFailed):
            continue


@given(st.binary(max_size=60) | st.text(alphabet="limtcursoren&=%0123456789+ A", max_size=40))
def test_a_query_is_decoded_or_refused(query: bytes | str) -> None:
    raw = query if isinstance(query, bytes) else query.encode()
    for kind in (EventListQuery, DeliveryListQuery):
        try:
            decoded_query(raw, kind)
        except ValidationFailed:
            continue


# --- names ---------------------------------------------------------------------------------------


@given(st.text(max_size=140) | SEGMENTS, EVENT_TYPES, JSON)
def test_an_id_that_is_accepted_can_stand_in_a_body_and_a_header(
    event_id: str, event_type: str, value: Any
) -> None:
    if public_id_fault(event_id) is not None:
        return
    assert re.fullmatch(r"[\x21-\x2d\x2f-\x7e]+", event_id)
    data = json.dumps({"value": value}).encode()
    body = frozen_body(event_id, event_type, "2024-05-04T12:00:00Z", data)
    assert json.loads(body)["eventId"] == event_id
    assert data_of(body) == data


@given(st.text(max_size=140))
def test_no_text_makes_the_grammars_fail(text: str) -> None:
    for fault_of in (public_id_fault, event_type_fault, ordering_key_fault):
        if fault_of(text) is None:
            assert text.isascii()
            assert text.isprintable()
    key = unquoted_idempotency_key(text)
    assert key is None or (key.isascii() and key.isprintable() and key)
    if patterns_fault(text) is None:
        matches(text, "order.shipped")


@given(EVENT_TYPES, EVENT_TYPES)
def test_an_event_type_is_a_pattern_that_selects_itself_alone(one: str, other: str) -> None:
    if event_type_fault(one) is None and patterns_fault(one) is None:
        assert matches(one, one)
        assert matches(one, other) == (one == other)


@given(PATTERNS, EVENT_TYPES)
def test_a_pattern_selects_what_the_same_expression_does(pattern: str, event_type: str) -> None:
    if event_type.split(".", 1)[0] == "tidings" or patterns_fault(pattern) is not None:
        return
    *before, last = [r"[^.]+" if part == "*" else re.escape(part) for part in pattern.split(".")]
    last = r"[^.]+(?:\.[^.]+)*" if pattern.endswith("*") else last
    expected = re.fullmatch(r"\.".join([*before, last]), event_type) is not None
    assert matches(pattern, event_type) == expected


# --- headers, secrets, moments -------------------------------------------------------------------


@given(st.dictionaries(HEADER_TEXT, HEADER_TEXT, max_size=25))
def test_custom_headers_are_refused_or_fit_on_their_lines(headers: dict[str, str]) -> None:
    faults = custom_header_faults(headers)
    assert all(fault.pointer.startswith("/headers") for fault in faults)
    if not faults:
        sent = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        assert sent.isascii()
        lines = sent.split("\r\n")[:-1]
        assert len(lines) == len(headers) == len({name.lower() for name in headers})
        assert not {"host", "content-length", "webhook-id"} & {name.lower() for name in headers}


@given(st.text(max_size=90) | st.binary(max_size=70).map(encode_key))
def test_a_secret_becomes_a_key_or_is_refused(text: str) -> None:
    try:
        key = key_of_secret(text)
    except UnusableSecret:
        return
    assert len(key) >= 8
    if len(key) >= 24 and len(key) <= 64:
        assert key_of_secret(encode_key(key)) == key


@given(MOMENTS)
def test_a_moment_is_refused_or_has_one_form(text: str) -> None:
    normal = normalised_timestamp(text)
    at_ms = timestamp_ms(text)
    assert (normal is None) == (at_ms is None)
    if normal is not None and at_ms is not None:
        assert normalised_timestamp(normal) == normal
        assert timestamp_ms(normal) == at_ms
        assert timestamp_ms(format_timestamp(at_ms)) == at_ms


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_every_moment_that_can_be_written_can_be_read(at_ms: int) -> None:
    assert timestamp_ms(format_timestamp(at_ms)) == at_ms
