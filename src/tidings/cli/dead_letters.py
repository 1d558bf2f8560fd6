"""`tidings dead-letters`: what could not be delivered, and delivering it again."""

from typing import Annotated

import typer

from tidings.cli.command import Cursor, Limit, Since, Until, command, group
from tidings.cli.deliveries import DeliveryId, Event, Subscription
from tidings.cli.output import Screen, refuse
from tidings.cli.remote import Remote
from tidings.cli.replaying import DryRun, Wait, replay

app = group("Look at dead letters; replay or discard them.")

_EventTypes = Annotated[str | None, typer.Option("--event-type", help="Only of these types.")]
_COLUMNS = {
    "delivery": "deliveryId",
    "event": "eventId",
    "type": "eventType",
    "subscription": "subscriptionId",
    "reason": "deadLetterReason",
    "attempts": "attemptCount",
    "finished at": "finishedAt",
}


@command(app, "list")
def list_dead_letters(
    remote: Remote,
    screen: Screen,
    *,
    subscription: Subscription = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> None:
    """List dead letters, newest first."""
    answer = remote.get(
        "dead-letters",
        subscriptionId=subscription,
        eventId=event,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    screen.page(answer, _COLUMNS)


@command(app, "replay")
def replay_dead_letters(  # noqa: PLR0913 - as many ways to select as the API has
    remote: Remote,
    screen: Screen,
    delivery_id: Annotated[
        str | None,
        typer.Argument(
            metavar="DELIVERY_ID", help="One delivery's id; else all that are selected."
        ),
    ] = None,
    *,
    is_all: Annotated[bool, typer.Option("--all", help="Replay every dead letter.")] = False,
    subscription: Subscription = None,
    event_type: _EventTypes = None,
    since: Since = None,
    until: Until = None,
    is_dry_run: DryRun = False,
    wait: Wait = None,
) -> None:
    """Deliver a dead letter again, or many of them."""
    selection = {
        "subscriptionId": subscription,
        "eventType": event_type,
        "since": since,
        "until": until,
    }
    is_selected = any(selection.values())
    if (delivery_id is not None) + is_all + is_selected != 1:
        refuse(
            "name one delivery, or select with --subscription, --event-type, --since, --until, "
            "or take --all"
        )
    if delivery_id is not None:
        answer = remote.post("dead-letters", delivery_id, "replay")
        screen.answer(answer, f"{delivery_id} is on its way again.")
        return
    body = {**selection, "dryRun": is_dry_run or None}
    replay(remote, screen, ("dead-letters", "replay"), body, wait=wait)


@command(app, "discard")
def discard_dead_letter(remote: Remote, screen: Screen, delivery_id: DeliveryId) -> None:
    """Give up a dead letter for good; its history stays."""
    answer = remote.delete("dead-letters", delivery_id)
    screen.answer(answer, f"{delivery_id} is discarded.")
