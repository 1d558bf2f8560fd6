"""`tidings events`: what was published."""

import json
from typing import Annotated

import typer

from tidings.cli.command import Cursor, Limit, Since, Until, command, group
from tidings.cli.output import Screen
from tidings.cli.remote import Remote

app = group("Look at events, and deliver them again.")

_EventId = Annotated[str, typer.Argument(metavar="EVENT_ID", help="The event's id.")]
_COLUMNS = {"event": "eventId", "type": "eventType", "occurred at": "occurredAt"}


@command(app, "list")
def list_events(
    remote: Remote,
    screen: Screen,
    *,
    event_type: Annotated[str | None, typer.Option(help="Only those of these types.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> None:
    """List events, newest first."""
    answer = remote.get(
        "events", eventType=event_type, since=since, until=until, limit=limit, cursor=cursor
    )
    screen.page(answer, _COLUMNS)


@command(app, "show")
def show_event(remote: Remote, screen: Screen, event_id: _EventId) -> None:
    """Show an event with its data."""
    answer = remote.get("events", event_id)
    screen.item(answer, without=["data"])
    screen.text(json.dumps(answer.value["data"], indent=2, ensure_ascii=False))


@command(app, "replay")
def replay_event(
    remote: Remote,
    screen: Screen,
    event_id: _EventId,
    *,
    subscription: Annotated[
        str | None, typer.Option(help="To this subscription alone, also if it never matched.")
    ] = None,
) -> None:
    """Deliver an event again, to all matching subscriptions or to one."""
    answer = remote.post("events", event_id, "replay", body={"subscriptionId": subscription})
    screen.item(answer)
