"""`tidings event-types`: what events there are, and what they say."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tidings.cli.arguments import json_object
from tidings.cli.command import Cursor, Limit, command, group
from tidings.cli.openapi_import import Imported, NoWebhooks, imported
from tidings.cli.output import Answer, CommandFailed, ExitCode, Screen, refuse
from tidings.cli.remote import Remote

app = group("Describe event types, and have published data checked.")

_PATH = "event-types"
_COLUMNS = {
    "event type": "eventType",
    "version": "version",
    "validation": "validation",
    "deprecated": "deprecated",
    "description": "description",
}
_IMPORT_COLUMNS = {"event type": "eventType", "result": "result", "detail": "detail"}

_Type = Annotated[str, typer.Argument(metavar="EVENT_TYPE", help="Such as order.shipped.")]
_Validation = Annotated[
    str | None,
    typer.Option(help="off, warn or enforce: what happens to data that do not fit the schema."),
]
_Force = Annotated[
    bool, typer.Option("--force", help="Take a schema that is not compatible with the present one.")
]


@command(app, "list")
def list_event_types(
    remote: Remote, screen: Screen, *, limit: Limit = None, cursor: Cursor = None
) -> None:
    """List the event types that are described, newest first."""
    screen.page(remote.get(_PATH, limit=limit, cursor=cursor), _COLUMNS)


@command(app, "show")
def show(remote: Remote, screen: Screen, event_type: _Type) -> None:
    """Show what is said about an event type."""
    screen.item(remote.get(_PATH, event_type), without=("versions",))


@command(app, "set")
def put(  # noqa: PLR0913 - as many things as can be said
    remote: Remote,
    screen: Screen,
    event_type: _Type,
    *,
    description: Annotated[str | None, typer.Option(help="What it means, for people.")] = None,
    schema: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="A JSON Schema of the data.")
    ] = None,
    example: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="Data as they are published.")
    ] = None,
    validation: _Validation = None,
    deprecated: Annotated[
        bool | None,
        typer.Option("--deprecated/--not-deprecated", help="Better not used.", show_default=False),
    ] = None,
    force: _Force = False,
) -> None:
    """Describe an event type; what is not named stays as it is."""
    body, raw = _present(remote, event_type)
    given = {"description": description, "validation": validation, "deprecated": deprecated}
    body |= {name: value for name, value in given.items() if value is not None}
    texts = {"schema": schema, "example": example}
    raw |= {name: json_object(text) for name, text in texts.items() if text is not None}
    screen.item(remote.put(_PATH, event_type, body=body, raw=raw, force=force))


@command(app, "delete")
def delete(remote: Remote, screen: Screen, event_type: _Type) -> None:
    """Take an event type out of the catalogue; it can be published all the same."""
    screen.answer(remote.delete(_PATH, event_type), f"{event_type} is described no more.")


@command(app, "import")
def import_file(
    remote: Remote,
    screen: Screen,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An OpenAPI 3.1 document, in JSON.")],
    *,
    validation: _Validation = None,
    force: _Force = False,
) -> None:
    """Describe all event types that stand in the section `webhooks` of an OpenAPI document."""
    try:
        found = list(imported(json.loads(json_object(f"@{file}"))))
    except NoWebhooks as fault:
        refuse(f"{file}: {fault}")
    results = [_import_one(remote, one, validation, is_forced=force) for one in found]
    screen.answer(Answer(json.dumps({"items": results}).encode()))
    screen.table(results, _IMPORT_COLUMNS)
    if any(one["result"] == "refused" for one in results):
        raise CommandFailed("not everything could be imported", ExitCode.BAD_RESULT)


def _import_one(
    remote: Remote, one: Imported, validation: str | None, *, is_forced: bool
) -> dict[str, Any]:
    if one.fault is not None:
        return {"eventType": one.event_type, "result": "left out", "detail": one.fault}
    try:
        body, raw = _present(remote, one.event_type)
        body |= {"description": one.description, "deprecated": one.deprecated}
        if validation is not None:
            body["validation"] = validation
        raw = {
            name: json.dumps(value)
            for name, value in (("schema", one.schema), ("example", one.example))
            if value is not None
        }
        answer = remote.put(_PATH, one.event_type, body=body, raw=raw, force=is_forced)
    except CommandFailed as failure:
        if failure.code not in (ExitCode.USAGE, ExitCode.CONFLICT):
            raise
        return {"eventType": one.event_type, "result": "refused", "detail": failure.line}
    return {
        "eventType": one.event_type,
        "result": f"version {answer.value['version']}",
        "detail": None,
    }


def _present(remote: Remote, event_type: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What is said about an event type now: members, and those that are JSON as given."""
    try:
        present = remote.get(_PATH, event_type).value
    except CommandFailed as failure:
        if failure.code is not ExitCode.NOT_FOUND:
            raise
        return {}, {}
    body = {name: present[name] for name in ("description", "validation", "deprecated")}
    raw = {
        name: json.dumps(present[name])
        for name in ("schema", "example")
        if present[name] is not None
    }
    return body, raw
