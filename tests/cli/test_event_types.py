"""The catalogue from the command line; and what an import makes of the documents of others."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.support.server import Server
from tidings.cli.openapi_import import NoWebhooks, imported

SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}}'


def _asked(tidings: Run, *arguments: str) -> Any:
    return json.loads(tidings("event-types", *arguments, "--json").out)


def test_an_event_type_is_described_listed_changed_and_deleted(tidings: Run) -> None:
    made = _asked(tidings, "set", "a.b", "--schema", SCHEMA, "--validation", "enforce")
    assert (made["version"], made["validation"]) == (1, "enforce")
    changed = _asked(tidings, "set", "a.b", "--description", "what it means", "--deprecated")
    assert changed["schema"] == json.loads(SCHEMA)
    assert (changed["validation"], changed["deprecated"]) == ("enforce", True)
    assert "what it means" in tidings("event-types", "list").out
    assert "what it means" in tidings("event-types", "show", "a.b").out
    refused = tidings("publish", "a.b", "--data", '{"n": "1"}', code=2)
    assert "/data/n" in refused.err
    stricter = '{"type": "object", "required": ["n"]}'
    assert "force" in tidings("event-types", "set", "a.b", "--schema", stricter, code=5).err
    assert _asked(tidings, "set", "a.b", "--schema", stricter, "--force")["version"] == 2
    assert tidings("event-types", "delete", "a.b").out == "a.b is described no more.\n"
    tidings("event-types", "show", "a.b", code=3)


def test_what_our_own_document_says_can_be_imported(
    tidings: Run, server: Server, tmp_path: Path
) -> None:
    example = '{"n": 1}'
    _asked(tidings, "set", "own.type", "--schema", SCHEMA, "--example", example, "--deprecated")
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(server.call("GET", "/openapi.json")))
    before = server.call("GET", "/event-types/own.type")
    tidings("event-types", "delete", "own.type")
    items = {one["eventType"]: one for one in _asked(tidings, "import", str(document))["items"]}
    assert items["event"]["result"] == "left out"
    assert items["own.type"]["result"] == "version 1"
    after = server.call("GET", "/event-types/own.type")
    for name in ("schema", "example", "deprecated"):
        assert after[name] == before[name]


def test_an_import_tells_what_it_could_not_do(tidings: Run, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    content = {"application/json": {"schema": {"type": "nope"}}}
    bad = {"post": {"requestBody": {"content": content}}}
    document.write_text(json.dumps({"webhooks": {"bad.one": bad, "good.one": {"post": {}}}}))
    ended = tidings("event-types", "import", str(document), code=8)
    assert "/schema/type" in ended.out
    assert "good.one" in tidings("event-types", "list").out
    document.write_text("{}")
    assert "webhooks" in tidings("event-types", "import", str(document), code=2).err


def test_a_schema_takes_along_what_it_refers_to() -> None:
    document = {
        "webhooks": {
            "order.shipped": {
                "post": {
                    "summary": "Shipped",
                    "requestBody": {
                        "content": {
                            "application/json; charset=utf-8": {
                                "schema": {"$ref": "#/components/schemas/Order"},
                                "examples": {"one": {"value": {"n": 1}}},
                            }
                        }
                    },
                }
            },
            "odd": {"get": {}},
        },
        "components": {
            "schemas": {
                "Order": {"type": "object", "properties": {
                    "item": {"$ref": "#/components/schemas/Item"}}},
                "Item": {"type": "object"},
                "Unused": {"type": "null"},
            }
        },
    }  # fmt: skip
    shipped, odd = imported(document)
    assert (shipped.event_type, shipped.description) == ("order.shipped", "Shipped")
    assert shipped.example == {"n": 1}
    assert shipped.schema == {
        "$ref": "#/$defs/Order",
        "$defs": {
            "Order": {"type": "object", "properties": {"item": {"$ref": "#/$defs/Item"}}},
            "Item": {"type": "object"},
        },
    }
    assert odd.fault is not None


@pytest.mark.parametrize("document", [{}, [], 5, {"webhooks": []}, {"paths": {}}])
def test_a_document_without_webhooks_is_told(document: Any) -> None:
    with pytest.raises(NoWebhooks):
        list(imported(document))
