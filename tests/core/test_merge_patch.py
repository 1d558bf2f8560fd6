"""The examples of RFC 7396, appendix A."""

from typing import Any

import pytest

from tidings.core.merge_patch import NothingToRemove, merge_patch, merge_patch_text


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_its_specification_says(
    target: Any, patch: Any, merged: Any
) -> None:
    before = repr((target, patch))
    assert merge_patch(target, patch) == merged
    assert repr((target, patch)) == before


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ('{"a": 1.50}', '{"b": 2.0}', '{"a":1.50,"b":2.0}'),
        ('{"a": {"b": 1, "c":  2}}', '{"a": {"b": null}}', '{"a":{"c":2}}'),
        ('{"a": [1]}', '{"a": {"b": [null]}}', '{"a":{"b":[null]}}'),
        ("null", '{"a": 1e2}', '{"a":1e2}'),
        ('{"a": 1}', "5", "5"),
        ('{"a": 1}', "null", "null"),
    ],
)
def test_texts_are_merged_without_touching_what_stays(target: str, patch: str, merged: str) -> None:
    assert merge_patch_text(target.encode(), patch.encode()).decode() == merged


def test_a_null_that_removes_nothing_is_told() -> None:
    with pytest.raises(NothingToRemove) as told:
        merge_patch_text(b'{"a": {"b": 1}}', b'{"a": {"c/~": null}}')
    assert told.value.pointer == "/a/c~1~0"
