"""The documentation as one page: the OpenAPI document for people, with nothing from elsewhere."""

import inspect
import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

from tidings.api.problems import all_kinds, status_of

Object = dict[str, Any]

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { overflow: auto; padding: .75rem; border: 1px solid #8885; border-radius: 6px; }
section { border-top: 1px solid #8885; padding: .5rem 0; }
h3 code { font-size: 1rem; }
th, td { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0; }
"""


def docs_page(document: Object) -> bytes:
    """The page for a document."""
    info = document["info"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>",
        f"<style>{_STYLE}</style>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info['description'])} The same for programs: ",
        "<a href=openapi.json>openapi.json</a>. Further down: ",
        "<a href=#problems>problems</a>, <a href=#schemas>schemas</a>.</p>",
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts += _operation(f"{method.upper()} {path}", operation)
    for name, operations in document["webhooks"].items():
        parts += _operation(f"→ {name}", operations["post"])
    parts += _problems()
    parts += _schemas(document["components"]["schemas"])
    return "\n".join(parts).encode()


def _operation(title: str, operation: Object) -> Iterator[str]:
    yield f"<section id={operation['operationId']}><h3><code>{escape(title)}</code></h3>"
    yield f"<p>{escape(operation['summary'])}. {escape(operation.get('description', ''))}</p>"
    for requirement in operation["security"]:
        for roles in requirement.values():
            if roles:
                yield f"<p>Needs a key with <code>{escape(', '.join(roles))}</code>.</p>"
            else:
                yield "<p>An address that Tidings has signed needs no key.</p>"
    rows = [
        (one["name"], one["in"], one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    body = operation.get("requestBody")
    if body is not None:
        rows += [("body", media, _name(one)) for media, one in body["content"].items()]
    rows += [
        (status, _name(next(iter(one.get("content", {}).values()), {})), one["description"])
        for status, one in operation["responses"].items()
    ]
    yield "<table>"
    for cells in rows:
        yield "<tr>" + "".join(f"<td>{_shown(cell)}</td>" for cell in cells) + "</tr>"
    yield "</table></section>"


def _problems() -> Iterator[str]:
    yield "<h2 id=problems>Problems</h2><table>"
    for kind in all_kinds():
        meaning = (inspect.getdoc(kind) or "").split("\n", 1)[0]
        yield (
            f"<tr id={kind.code}><td>{status_of(kind)}</td><td><code>{kind.code}</code></td>"
            f"<td>{escape(meaning)}</td></tr>"
        )
    yield "</table>"


def _schemas(schemas: Object) -> Iterator[str]:
    yield "<h2 id=schemas>Schemas</h2>"
    for name, schema in schemas.items():
        text = json.dumps(schema, indent=2, ensure_ascii=False)
        yield f"<section id={name}><h3>{name}</h3><pre>{escape(text)}</pre></section>"


def _name(media: Object) -> str:
    """The name of the schema that a body or an answer has."""
    return str(media.get("schema", {}).get("$ref", "")).rsplit("/", 1)[-1]


def _shown(text: str) -> str:
    """Text for a cell; what stands between backticks is code."""
    parts = escape(text).replace("\n", "<br>").split("`")
    return "".join(
        f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts)
    )
