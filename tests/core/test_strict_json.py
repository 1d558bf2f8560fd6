"""Strict JSON: every kind of text that some parser takes and another does not."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.core import limits
from tidings.core.refusals import MalformedJson
from tidings.core.strict_json import (
    check_document,
    check_envelope,
    check_outline,
    depth,
)

MALFORMED = {
    "nothing": b"",
    "spaces alone": b"  ",
    "bad syntax": b'{"a":}',
    "a comma too much": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "a comment": b'{"a":1}// x',
    "something behind": b'{"a":1} x',
    "two values": b"{}{}",
    "a leading zero": b'{"a":01}',
    "a bare sign": b'{"a":+1}',
    "no digit behind the point": b'{"a":1.}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "a number that overflows": b'{"a":1e999}',
    "a number of 5,000 digits": b'{"a":' + b"9" * 5_000 + b"}",
    "a control character": b'{"a":"\n"}',
    "an unknown escape": b'{"a":"\\q"}',
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "the other half": b'{"a":"\\udc00"}',
    "halves in the wrong order": b'{"a":"\\udc00\\ud800"}',
    "half a pair in a name": b'{"\\ud800":1}',
    "no UTF-8": b'{"a":"\xff"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "an overlong encoding": b'{"a":"\xc0\xaf"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a string without end": b'{"a":"' + b"[" * 200,
    "an array without end": b"[" * 200,
    "more depth than a stack has": b"[" * 100_000 + b"]" * 100_000,
    "a name twice": b'{"a":1,"a":2}',
    "a name twice in two spellings": b'{"a":1,"\\u0061":2}',
}

WELL_FORMED = {
    "an object": b'{"a":1}',
    "white space": b' \t\r\n{ "a" : [ 1 , 2 ] } ',
    "a scalar": b"5",
    "null": b"null",
    "a pair of surrogates": b'{"a":"\\ud83d\\ude00"}',
    "a null character": b'{"a":"\\u0000"}',
    "numbers beyond 2^53": b'{"a":123456789012345678901234567890}',
    "odd but valid numbers": b'{"a":[-0,1.0,1e2,1E+2,1e-999]}',
    "many brackets in a string": b'{"a":"' + b"[{" * 500 + b'"}',
    "escaped quotes around brackets": b'{"a":"\\"[[[[\\\\","b":1}',
    "many small arrays": b"[" + b",".join([b"[]"] * 500) + b"]",
    "the same name in two objects": b'{"a":{"b":1},"c":{"b":1}}',
}


@pytest.mark.parametrize("check", [check_document, check_envelope])
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_bodies_are_refused(check: Callable[[bytes], None], body: bytes) -> None:
    with pytest.raises(MalformedJson) as caught:
        check(body)
    assert caught.value.detail


@pytest.mark.parametrize("check", [check_document, check_envelope])
@pytest.mark.parametrize("body", WELL_FORMED.values(), ids=WELL_FORMED)
def test_well_formed_bodies_pass(check: Callable[[bytes], None], body: bytes) -> None:
    check(body)


def test_a_document_has_64_levels_and_an_envelope_one_more_around_its_data() -> None:
    deep = b"[" * limits.JSON_DEPTH_MAX + b"]" * limits.JSON_DEPTH_MAX
    check_document(deep)
    with pytest.raises(MalformedJson):
        check_document(b"[" + deep + b"]")
    check_envelope(b'{"data":' + deep + b"}")
    with pytest.raises(MalformedJson):
        check_envelope(b'{"data":[' + deep + b"]}")


def test_names_within_data_are_the_publishers_own() -> None:
    body = b'{"eventType":"a","data":{"b":1,"b":2}}'
    check_envelope(body)
    check_outline(body)
    with pytest.raises(MalformedJson):
        check_document(body)


PARTS_FOR_LATER = {"a number that overflows", "a number of 5,000 digits"}


@pytest.mark.parametrize(
    "body", [body for name, body in MALFORMED.items() if name not in PARTS_FOR_LATER]
)
def test_an_outline_is_refused_for_all_but_what_its_parts_are_checked_for(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        check_outline(body)


@pytest.mark.parametrize("body", WELL_FORMED.values(), ids=WELL_FORMED)
def test_well_formed_outlines_pass(body: bytes) -> None:
    check_outline(body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, width=32),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_JSON, st.booleans())
def test_what_a_strict_writer_writes_passes(value: object, ascii_only: bool) -> None:
    try:
        body = json.dumps(value, ensure_ascii=ascii_only, allow_nan=False).encode()
    except ValueError:
        return  # an infinity, or half a surrogate pair
    try:
        check_document(body)
    except MalformedJson:
        assert _has_half_a_pair(value)


def _has_half_a_pair(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


@given(_JSON)
def test_depth_is_what_a_parser_would_say(value: object) -> None:
    assert depth(json.dumps(value).encode()) == _depth(value)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


@given(st.binary(max_size=60))
def test_any_bytes_are_either_json_or_refused(body: bytes) -> None:
    try:
        check_envelope(body)
    except MalformedJson:
        return
    json.loads(body)
