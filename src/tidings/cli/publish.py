"""`tidings publish`: tell the platform that something happened."""

from typing import Annotated

import typer

from tidings.cli.arguments import json_object
from tidings.cli.command import command
from tidings.cli.output import Screen
from tidings.cli.remote import Remote

app = typer.Typer()


@command(app, "publish")
def publish(
    remote: Remote,
    screen: Screen,
    event_type: Annotated[
        str, typer.Argument(metavar="EVENT_TYPE", help="What happened, such as order.shipped.")
    ],
    *,
    data: Annotated[
        str,
        typer.Option(
            metavar="JSON|@FILE|-",
            help="The facts: a JSON object, a file that holds one, or - for standard input.",
        ),
    ] = "{}",
    event_id: Annotated[
        str | None,
        typer.Option("--id", help="The event's id; a repeat with the same id is no new event."),
    ] = None,
    ordering_key: Annotated[
        str | None,
        typer.Option("--key", help="Events with the same key are delivered in order, if asked."),
    ] = None,
    occurred_at: Annotated[
        str | None, typer.Option(help="When it happened; now, unless told.")
    ] = None,
) -> None:
    """Publish an event. It is on disk when this command has succeeded."""
    body = {
        "eventType": event_type,
        "eventId": event_id,
        "orderingKey": ordering_key,
        "occurredAt": occurred_at,
    }
    answer = remote.create("events", body=body, raw={"data": json_object(data)})
    screen.item(answer)
