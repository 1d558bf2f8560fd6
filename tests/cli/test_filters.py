"""Filters from the command line."""

import json

from tests.cli.conftest import Run


def test_a_filter_is_tried_out_given_shown_and_changed(tidings: Run) -> None:
    wanted = '{"total": {"$gte": 1.50}}'
    trial = ("subscriptions", "test-filter", wanted, "--data")
    assert tidings(*trial, '{"total": 2}').out == "It passes.\n"
    assert tidings(*trial, '{"total": "2"}').out == "It does not pass.\n"
    create = ("subscriptions", "create", "a", "http://127.0.0.1:9/", "--filter", wanted, "--json")
    made = tidings(*create).out
    assert '"filter":{"total": {"$gte": 1.50}}' in made.replace('"filter": ', '"filter":')
    update = ("subscriptions", "update", json.loads(made)["subscriptionId"], "--json")
    changed = json.loads(tidings(*update, "--filter", '{"b": true}').out)
    assert changed["filter"] == {"total": {"$gte": 1.5}, "b": True}
    assert json.loads(tidings(*update, "--unset", "filter").out)["filter"] is None


def test_a_bad_filter_is_told_with_its_place(tidings: Run) -> None:
    ended = tidings("subscriptions", "test-filter", '{"a": {"$eq": 1}}', "--data", "{}", code=2)
    assert "/filter/a/$eq" in ended.err
