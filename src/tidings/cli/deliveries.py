"""`tidings deliveries`: what became of events, subscription by subscription."""

from typing import Annotated

import typer

from tidings.cli.command import Cursor, Limit, Since, Until, command, group
from tidings.cli.output import Screen
from tidings.cli.remote import Remote

app = group("Look at deliveries and their attempts; retry or cancel them.")

DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY_ID", help="The delivery's id.")]
Subscription = Annotated[str | None, typer.Option(help="Only those to this subscription.")]
Event = Annotated[str | None, typer.Option(help="Only those of this event.")]
COLUMNS = {
    "delivery": "deliveryId",
    "event": "eventId",
    "type": "eventType",
    "subscription": "subscriptionId",
    "status": "status",
    "attempts": "attemptCount",
}
_BODY_SHOWN_MAX = 60
_ATTEMPT_COLUMNS = {
    "attempt": "number",
    "started at": "startedAt",
    "ms": "durationMs",
    "outcome": "outcome",
    "status": "statusCode",
    "error": "errorClass",
    "answer": "responseBody",
}


@command(app, "list")
def list_deliveries(  # noqa: PLR0913 - as many ways to select as the API has
    remote: Remote,
    screen: Screen,
    *,
    status: Annotated[
        str | None, typer.Option(help="pending, delivered, dead_lettered or cancelled.")
    ] = None,
    subscription: Subscription = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> None:
    """List deliveries, newest first."""
    answer = remote.get(
        "deliveries",
        status=status,
        subscriptionId=subscription,
        eventId=event,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    screen.page(answer, COLUMNS)


@command(app, "show")
def show_delivery(remote: Remote, screen: Screen, delivery_id: DeliveryId) -> None:
    """Show a delivery with every attempt that was made for it."""
    answer = remote.get("deliveries", delivery_id)
    screen.item(answer, without=["attempts"])
    attempts = answer.value["attempts"]
    if attempts:
        screen.line("")
        for one in attempts:
            one["responseBody"] = one["responseBody"][:_BODY_SHOWN_MAX]
        screen.table(attempts, _ATTEMPT_COLUMNS)


@command(app, "retry")
def retry_delivery(remote: Remote, screen: Screen, delivery_id: DeliveryId) -> None:
    """Make one attempt now, besides the schedule."""
    answer = remote.post("deliveries", delivery_id, "retry")
    screen.answer(answer, f"An attempt for {delivery_id} is on its way.")


@command(app, "cancel")
def cancel_delivery(remote: Remote, screen: Screen, delivery_id: DeliveryId) -> None:
    """Give up a delivery that is pending."""
    answer = remote.post("deliveries", delivery_id, "cancel")
    screen.answer(answer, f"{delivery_id} is cancelled.")
