"""The table of the design and the document of the code are one and the same."""

from typing import Any

import pytest

from tests.api.route_table import (
    ALL_STATUSES,
    BODY_STATUSES,
    JSON_STATUSES,
    KEY_STATUSES,
    TABLE,
    Row,
)
from tidings.api.openapi import openapi_document
from tidings.api.routes import ROUTES
from tidings.api.services import ApiSettings

DOCUMENT = openapi_document(ROUTES, ApiSettings("https://api.example.com", b"k" * 32, "test"))


def test_every_documented_route_stands_in_the_table_and_the_other_way_round() -> None:
    documented = {
        (method.upper(), path)
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
    }
    assert documented == {(row.method, row.path) for row in TABLE}
    assert len(TABLE) == len(documented)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")
def test_a_route_is_documented_as_the_table_has_it(row: Row) -> None:
    operation = DOCUMENT["paths"][row.path][row.method.lower()]
    assert _scope(operation) == row.scope
    assert set(operation["responses"]) == _statuses(row)
    assert _parameters(operation, "query") == set(row.query.split())
    assert _parameters(operation, "header") == set(row.takes.split())
    assert _body(operation) == set(row.body.split())
    assert _answer(operation) == set(row.answer.split())
    assert _gives(operation) == set(row.gives.split())


def test_every_route_of_the_code_is_documented_in_the_order_in_which_it_is_looked_for() -> None:
    paths = list(dict.fromkeys(route.path for route in ROUTES))
    for place, path in enumerate(paths):
        for earlier in paths[:place]:
            is_shadowed = "{" in earlier and _fits(path, earlier)
            assert not is_shadowed, f"{earlier} takes what {path} is for"


def _fits(path: str, pattern: str) -> bool:
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(
        want.startswith("{") or part == want for part, want in zip(parts, wanted, strict=True)
    )


def _statuses(row: Row) -> set[str]:
    statuses = f"{row.statuses} {ALL_STATUSES}"
    if row.scope is not None:
        statuses += f" {KEY_STATUSES}"
        if "204" not in row.statuses and row.path not in ("/metrics", "/events/stream"):
            statuses += f" {JSON_STATUSES}"
    if row.body:
        statuses += f" {BODY_STATUSES}"
    return set(statuses.split())


def _scope(operation: Any) -> str | None:
    if not operation["security"]:
        return None
    ((scope,),) = [list(one["apiKey"]) for one in operation["security"] if "apiKey" in one]
    return str(scope)


def _parameters(operation: Any, place: str) -> set[str]:
    return {one["name"] for one in operation.get("parameters", ()) if one["in"] == place}


def _body(operation: Any) -> set[str]:
    if "requestBody" not in operation:
        return set()
    schema = _schema(operation["requestBody"])
    required = schema.get("required", [])
    assert operation["requestBody"]["required"] == bool(required)
    return {name + "*" * (name in required) for name in schema["properties"]}


def _success(operation: Any) -> Any:
    found = [one for status, one in operation["responses"].items() if status < "400"]
    return found[0] if found else {}


def _answer(operation: Any) -> set[str]:
    success = _success(operation)
    if "application/json" not in success.get("content", {}):
        return set()
    schema = _schema(success)
    if set(schema.get("properties", {})) == {"items", "nextCursor"}:
        schema = _resolved(schema["properties"]["items"]["items"])
    return set(schema.get("properties", {}))


def _gives(operation: Any) -> set[str]:
    return set(_success(operation).get("headers", {}))


def _schema(holder: Any) -> Any:
    return _resolved(holder["content"]["application/json"]["schema"])


def _resolved(schema: Any) -> Any:
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def test_only_the_data_of_events_can_be_had_by_a_signed_address() -> None:
    signable = [
        (method, path)
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if {"signedAddress": []} in operation["security"]
    ]
    assert signable == [("get", "/events/{eventId}/data")]
