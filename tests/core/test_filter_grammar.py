"""What filters mean, case by case; what makes no sense is refused, with its place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.core import limits
from tidings.core.content_filter import EventData, FilterOutcome
from tidings.core.filter_grammar import content_filter, filter_fault


def _outcome(wanted: Any, data: Any) -> FilterOutcome:
    text = wanted if isinstance(wanted, str) else json.dumps(wanted)
    assert filter_fault(text) is None
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return EventData(body).outcome(content_filter(text))


ORDER = {
    "id": "or_1",
    "total": 120,
    "express": True,
    "note": None,
    "customer": {"country": "DE", "tags": ["vip", "new"]},
    "items": [{"sku": "A1", "qty": 1}, {"sku": "B2", "qty": 5}],
    "matrix": [[1, 2], [3, 4]],
    "a.b": {"$c": "\\"},
    "0": "zero",
}


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({}, True),
        ({"id": "or_1"}, True),
        ({"id": "OR_1"}, False),
        ({"id": "or_1", "total": 121}, False),
        ({"total": 120.0}, True),
        ({"express": True}, True),
        ({"express": 1}, False),
        ({"note": None}, True),
        ({"missing": None}, False),
        ({"customer.country": "DE"}, True),
        ({"customer": {"country": "DE"}}, True),
        ({"customer": {"country": "DE", "tags": "new"}}, True),
        ({"id": {"country": "DE"}}, False),
        ({"customer.tags": "vip"}, True),
        ({"customer.tags": ["vip", "new"]}, True),
        ({"customer.tags": ["new", "vip"]}, False),
        ({"customer.tags.1": "new"}, True),
        ({"customer.tags.2": "new"}, False),
        ({"0": "zero"}, True),
        ({"items.sku": "B2"}, True),
        ({"items.0.sku": "B2"}, False),
        ({"items.sku": "A1", "items.qty": 5}, True),
        ({"items": {"sku": "A1", "qty": 5}}, False),
        ({"items": {"sku": "B2", "qty": 5}}, True),
        ({"items": {"qty": {"$gt": 1}, "sku": {"$prefix": "A"}}}, False),
        ({"matrix": 3}, True),
        ({"matrix": [3, 4]}, True),
        ({"matrix.1": 2}, False),
        ({"a\\.b.\\$c": "\\"}, True),
        ({"total": {"$gt": 120}}, False),
        ({"total": {"$gte": 120}}, True),
        ({"total": {"$lt": 120.5}}, True),
        ({"total": {"$lte": 119}}, False),
        ({"total": {"$gt": 100, "$lt": 130}}, True),
        ({"matrix": {"$gt": 1, "$lt": 2}}, False),
        ({"matrix": {"$and": [{"$gt": 3}, {"$lt": 2}]}}, True),
        ({"id": {"$gt": "or_0"}}, True),
        ({"id": {"$in": ["x", "or_1", 5, None, True]}}, True),
        ({"total": {"$in": ["120", True, 12]}}, False),
        ({"note": {"$in": [None]}}, True),
        ({"matrix": {"$in": [[3, 4]]}}, True),
        ({"note": {"$exists": True}}, True),
        ({"missing": {"$exists": True}}, False),
        ({"missing": {"$exists": False}}, True),
        ({"items.sku": {"$exists": False}}, False),
        ({"id": {"$prefix": "or_", "$suffix": "1", "$contains": "r_"}}, True),
        ({"id": {"$prefix": "r_"}}, False),
        ({"customer.tags": {"$contains": "ew"}}, True),
        ({"total": {"$not": {"$gt": 130}}}, True),
        ({"id": {"$not": "or_1"}}, False),
        ({"missing": {"$not": "or_1"}}, True),
        ({"customer.tags": {"$not": "vip"}}, False),
        ({"customer": {"$not": {"country": "DE"}}}, False),
        ({"total": {"$or": [{"$lt": 5}, 120]}}, True),
        ({"customer": {"$or": [{"country": "FR"}, {"tags": "vip"}]}}, True),
        ({"$or": [{"id": "x"}, {"express": True}]}, True),
        ({"$and": [{"id": "or_1"}, {"express": False}]}, False),
        ({"$not": {"id": "x"}, "total": 120}, True),
        ({"$not": {"id": "or_1", "total": 120}}, False),
    ],
)
def test_a_filter_means_what_the_guide_says(wanted: Any, matches: bool) -> None:
    outcome = _outcome(wanted, ORDER)
    assert (outcome is FilterOutcome.MATCH) is matches
    negated = _outcome({"$not": wanted} if wanted else {"x": 1}, ORDER)
    assert (negated is FilterOutcome.MATCH) is not matches


@pytest.mark.parametrize(
    ("wanted", "data", "matches"),
    [
        ('{"n": 9007199254740993}', b'{"n": 9007199254740992}', False),
        ('{"n": {"$gt": 9007199254740992}}', b'{"n": 9007199254740993}', True),
        ('{"n": {"$lt": 0.1}}', b'{"n": 0.09999999999999999999}', True),
        ('{"n": 1e2}', b'{"n": 100}', True),
        ('{"n": {"$in": [1e2]}}', b'{"n": 100.00}', True),
        ('{"t": {"$lt": "\\uffff"}}', '{"t": "😀"}'.encode(), False),
        ('{"t": {"$gt": "Z"}}', b'{"t": "a"}', True),
        ('{"t": "é"}', b'{"t": "\\u00e9"}', True),
    ],
)
def test_numbers_are_exact_and_texts_are_compared_by_code_points(
    wanted: str, data: bytes, matches: bool
) -> None:
    assert (_outcome(wanted, data) is FilterOutcome.MATCH) is matches


@pytest.mark.parametrize(
    ("wanted", "data", "outcome"),
    [
        ({"n": {"$gt": 1}}, {"n": "5"}, FilterOutcome.TYPE_MISMATCH),
        ({"n": {"$gt": 1}}, {"n": True}, FilterOutcome.TYPE_MISMATCH),
        ({"n": {"$gt": "1"}}, {"n": 5}, FilterOutcome.TYPE_MISMATCH),
        ({"n": {"$prefix": "a"}}, {"n": 5}, FilterOutcome.TYPE_MISMATCH),
        ({"n": {"$contains": "a"}}, {"n": None}, FilterOutcome.TYPE_MISMATCH),
        ({"n": {"$gt": 1}}, {"n": ["5", 2]}, FilterOutcome.MATCH),
        ({"n": {"$gt": 1}}, {"n": [0]}, FilterOutcome.NO_MATCH),
        ({"n": {"$gt": 1}}, {}, FilterOutcome.NO_MATCH),
        ({"n": 5}, {"n": "5"}, FilterOutcome.NO_MATCH),
    ],
)
def test_another_type_is_no_match_and_told_apart(
    wanted: Any, data: Any, outcome: FilterOutcome
) -> None:
    assert _outcome(wanted, data) is outcome


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("5", ""),
        ("[]", ""),
        ("null", ""),
        ('"a"', ""),
        ('{"a": {}}', "/a"),
        ('{"$or": []}', "/$or"),
        ('{"$or": {}}', "/$or"),
        ('{"$or": [{}]}', "/$or/0"),
        ('{"$and": [{"a": 1}, 5]}', "/$and/1"),
        ('{"$not": 5}', "/$not"),
        ('{"$nor": [{"a": 1}]}', "/$nor"),
        ('{"$in": [1]}', "/$in"),
        ('{"a": {"$eq": 1}}', "/a/$eq"),
        ('{"a": {"$in": []}}', "/a/$in"),
        ('{"a": {"$in": 5}}', "/a/$in"),
        ('{"a": {"$gt": true}}', "/a/$gt"),
        ('{"a": {"$gt": null}}', "/a/$gt"),
        ('{"a": {"$prefix": 5}}', "/a/$prefix"),
        ('{"a": {"$exists": 1}}', "/a/$exists"),
        ('{"a": {"$not": {}}}', "/a/$not"),
        ('{"a": {"$or": [{"$gt": 1}, {"$x": 1}]}}', "/a/$or/1/$x"),
        ('{"a": {"$gt": 1, "b": 2}}', "/a"),
        ('{"": 1}', "/"),
        ('{"a..b": 1}', "/a..b"),
        ('{"a.": 1}', "/a."),
        ('{"a\\\\x": 1}', "/a\\x"),
        ('{"a\\\\": 1}', "/a\\"),
        ('{"a": {"b/c~": {"$x": 1}}}', "/a/b~1c~0/$x"),
        (json.dumps({".".join("a" * 17): 1}), "/" + ".".join("a" * 17)),
        (json.dumps({"a": "x" * limits.FILTER_BYTES_MAX}), ""),
        (json.dumps({"a": {"$in": list(range(limits.FILTER_NODES_MAX))}}), ""),
        ('{"$not":' * limits.FILTER_DEPTH_MAX + '{"a": 1}' + "}" * limits.FILTER_DEPTH_MAX, ""),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(text: str, pointer: str) -> None:
    fault = filter_fault(text)
    assert fault is not None
    assert fault.pointer == pointer
    assert fault.detail


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["a", "b", "$not", "$or", "$and", "$in", "$gt", "$prefix", "$exists", "0"]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(wanted=_JSON, data=_JSON)
def test_any_json_is_refused_or_a_filter_that_answers(wanted: Any, data: Any) -> None:
    text = json.dumps(wanted)
    if filter_fault(text) is None:
        assert EventData(json.dumps({"a": data}).encode()).outcome(content_filter(text))
