"""`tidings subscriptions`: who wants what, and what becomes of it."""

from typing import Annotated, Any

import typer

from tidings.cli.arguments import json_object, named_values, retry_policy
from tidings.cli.command import Cursor, Limit, Since, Until, command, group
from tidings.cli.output import CommandFailed, ExitCode, Screen, refuse
from tidings.cli.remote import Remote
from tidings.cli.replaying import DryRun, Wait, replay
from tidings.cli.statistics import show_statistics

app = group("Create, change, try out and replay subscriptions.")

_PATH = "webhook-subscriptions"
_COLUMNS = {
    "subscription": "subscriptionId",
    "event type": "eventType",
    "callback url": "callbackUrl",
    "status": "status",
    "health": "health",
}
_SECRET_COLUMNS = {"secret": "secret", "created at": "createdAt", "expires at": "expiresAt"}
_CHANGEABLE = (
    "description",
    "filter",
    "payloadFormat",
    "thinAboveBytes",
    "headers",
    "orderingEnabled",
    "retryPolicy",
    "rateLimitPerSecond",
    "timeoutSeconds",
    "metadata",
)

_Id = Annotated[str, typer.Argument(metavar="SUBSCRIPTION_ID", help="The subscription's id.")]
_Secret = Annotated[
    str | None,
    typer.Option(help="The signing secret; a random one unless given.", show_default=False),
]
_Description = Annotated[str | None, typer.Option(help="A note for people.")]
_Filter = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="JSON|@FILE|-",
        help='What the data must hold, such as {"total": {"$gte": 100}}.',
    ),
]
_Format = Annotated[
    str | None,
    typer.Option("--format", help="tidings, thin (an address instead of the data), cloudevents."),
]
_ThinAbove = Annotated[
    int | None,
    typer.Option(
        "--thin-above", metavar="BYTES", help="Send larger events without their data, as thin."
    ),
]
_Headers = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="NAME:VALUE", help="Sent along, never shown; repeat it."),
]
_Metadata = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Kept for you, never sent; repeat it."),
]
_Ordering = Annotated[
    bool | None,
    typer.Option(
        "--ordering/--no-ordering",
        help="Whether events with the same ordering key are delivered in order.",
        show_default=False,
    ),
]
_Retry = Annotated[
    str | None,
    typer.Option(metavar="WAITS|JSON", help="Seconds between attempts, such as 5,300,1800."),
]
_RateLimit = Annotated[float | None, typer.Option(help="Requests per second at most.")]
_Timeout = Annotated[int | None, typer.Option(help="Seconds that an attempt may take in all.")]
_EventTypes = Annotated[str | None, typer.Option("--event-type", help="Only of these types.")]


@command(app, "create")
def create(  # noqa: PLR0913 - a subscription has as many sides
    remote: Remote,
    screen: Screen,
    event_type: Annotated[
        str, typer.Argument(metavar="EVENT_TYPE", help="Which events: order.shipped, order.*, *")
    ],
    callback_url: Annotated[
        str, typer.Argument(metavar="CALLBACK_URL", help="Where they are sent.")
    ],
    *,
    secret: _Secret = None,
    description: _Description = None,
    content_filter: _Filter = None,
    payload_format: _Format = None,
    thin_above: _ThinAbove = None,
    headers: _Headers = None,
    metadata: _Metadata = None,
    ordering: _Ordering = None,
    retry: _Retry = None,
    rate_limit: _RateLimit = None,
    timeout: _Timeout = None,
) -> None:
    """Subscribe. The signing secret is shown here; `show --secrets` shows it later."""
    body = {
        "eventType": event_type,
        "callbackUrl": callback_url,
        "secret": secret,
        "description": description,
        "payloadFormat": payload_format,
        "thinAboveBytes": thin_above,
        "headers": named_values(headers, ":", "--header"),
        "metadata": named_values(metadata, "=", "--metadata"),
        "orderingEnabled": ordering,
        "retryPolicy": retry_policy(retry),
        "rateLimitPerSecond": rate_limit,
        "timeoutSeconds": timeout,
    }
    raw = {} if content_filter is None else {"filter": json_object(content_filter)}
    screen.item(remote.create(_PATH, body=body, raw=raw))


@command(app, "list")
def list_subscriptions(
    remote: Remote,
    screen: Screen,
    *,
    event_type: Annotated[
        str | None, typer.Option(help="Only those with exactly this event type.")
    ] = None,
    status: Annotated[
        str | None, typer.Option(help="active, paused, disabled or pending_verification.")
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> None:
    """List subscriptions, newest first."""
    answer = remote.get(_PATH, eventType=event_type, status=status, limit=limit, cursor=cursor)
    screen.page(answer, _COLUMNS)


@command(app, "show")
def show(
    remote: Remote,
    screen: Screen,
    subscription_id: _Id,
    *,
    with_secrets: Annotated[
        bool, typer.Option("--secrets", help="Show the secrets that sign now, instead.")
    ] = False,
) -> None:
    """Show a subscription, or its secrets."""
    if not with_secrets:
        screen.item(remote.get(_PATH, subscription_id))
        return
    answer = remote.get(_PATH, subscription_id, "secret")
    screen.answer(answer)
    screen.table(answer.value["secrets"], _SECRET_COLUMNS)


@command(app, "update")
def update(  # noqa: PLR0913 - a subscription has as many sides
    remote: Remote,
    screen: Screen,
    subscription_id: _Id,
    *,
    event_type: Annotated[str | None, typer.Option(help="Which events from now on.")] = None,
    callback_url: Annotated[
        str | None, typer.Option(help="Where they are sent; another one drops the headers.")
    ] = None,
    description: _Description = None,
    content_filter: _Filter = None,
    payload_format: _Format = None,
    thin_above: _ThinAbove = None,
    headers: _Headers = None,
    metadata: _Metadata = None,
    ordering: _Ordering = None,
    retry: _Retry = None,
    rate_limit: _RateLimit = None,
    timeout: _Timeout = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(metavar="MEMBER", help=f"Back to the default: {', '.join(_CHANGEABLE)}."),
    ] = None,
) -> None:
    """Change a subscription; what is not named stays. Deliveries under way follow the change."""
    given = {
        "eventType": event_type,
        "callbackUrl": callback_url,
        "description": description,
        "payloadFormat": payload_format,
        "thinAboveBytes": thin_above,
        "headers": named_values(headers, ":", "--header"),
        "metadata": named_values(metadata, "=", "--metadata"),
        "orderingEnabled": ordering,
        "retryPolicy": retry_policy(retry),
        "rateLimitPerSecond": rate_limit,
        "timeoutSeconds": timeout,
    }
    patch: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in unset or ():
        if name not in _CHANGEABLE:
            refuse(f"--unset takes one of {', '.join(_CHANGEABLE)}, not {name}")
        patch[name] = None
    raw = {} if content_filter is None else {"filter": json_object(content_filter)}
    if not patch and not raw:
        refuse("say what to change; see tidings subscriptions update --help")
    screen.item(remote.patch(_PATH, subscription_id, body=patch, raw=raw))


@command(app, "delete")
def delete(remote: Remote, screen: Screen, subscription_id: _Id) -> None:
    """Delete a subscription for good; what is unfinished is cancelled, its history stays."""
    screen.answer(remote.delete(_PATH, subscription_id), f"{subscription_id} is deleted.")


@command(app, "pause")
def pause(remote: Remote, screen: Screen, subscription_id: _Id) -> None:
    """Hold deliveries back until `resume`; new events are kept for it."""
    _turn(remote, screen, subscription_id, "pause")


@command(app, "resume")
def resume(remote: Remote, screen: Screen, subscription_id: _Id) -> None:
    """Send again, after a pause or after it was disabled."""
    _turn(remote, screen, subscription_id, "resume")


@command(app, "disable")
def disable(remote: Remote, screen: Screen, subscription_id: _Id) -> None:
    """Switch a subscription off; what is unfinished becomes dead letters."""
    _turn(remote, screen, subscription_id, "disable")


@command(app, "verify")
def verify(remote: Remote, screen: Screen, subscription_id: _Id) -> None:
    """Have the endpoint prove that it wants events, by answering a challenge."""
    _turn(remote, screen, subscription_id, "verify")


@command(app, "rotate-secret")
def rotate_secret(
    remote: Remote,
    screen: Screen,
    subscription_id: _Id,
    *,
    secret: _Secret = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS", help="How long the old secrets still sign; a day unless told."
        ),
    ] = None,
) -> None:
    """Sign with a new secret from now on, and with the old ones too for a while."""
    body = {"secret": secret, "overlapSeconds": overlap}
    screen.item(remote.post(_PATH, subscription_id, "rotate-secret", body=body))


@command(app, "test")
def try_out(
    remote: Remote,
    screen: Screen,
    subscription_id: _Id,
    *,
    event_type: Annotated[str | None, typer.Option(help="tidings.test unless told.")] = None,
    data: Annotated[str, typer.Option(metavar="JSON|@FILE|-", help="What the event says.")] = "{}",
) -> None:
    """Send a signed event now, which is stored nowhere, and show what came of it."""
    answer = remote.post(
        _PATH,
        subscription_id,
        "test",
        body={"eventType": event_type},
        raw={"data": json_object(data)},
    )
    screen.item(answer)
    if answer.value["outcome"] != "delivered":
        raise CommandFailed("the test did not arrive", ExitCode.BAD_RESULT)


@command(app, "test-filter")
def test_filter(
    remote: Remote,
    screen: Screen,
    content_filter: Annotated[
        str, typer.Argument(metavar="FILTER", help="The filter, as JSON, @file or -.")
    ],
    *,
    data: Annotated[str, typer.Option(metavar="JSON|@FILE|-", help="What an event says.")],
) -> None:
    """Tell whether an event with these data would pass a filter."""
    raw = {"filter": json_object(content_filter), "data": json_object(data)}
    answer = remote.post(_PATH, "test-filter", body={}, raw=raw)
    screen.answer(answer, "It passes." if answer.value["matches"] else "It does not pass.")


@command(app, "replay")
def replay_deliveries(  # noqa: PLR0913 - as many ways to select as the API has
    remote: Remote,
    screen: Screen,
    subscription_id: _Id,
    *,
    only: Annotated[
        str | None,
        typer.Option(
            help="dead: its dead letters (unless told otherwise). missed: matching events that it "
            "never got. all: also what was delivered."
        ),
    ] = None,
    event_type: _EventTypes = None,
    since: Since = None,
    until: Until = None,
    is_dry_run: DryRun = False,
    wait: Wait = None,
) -> None:
    """Deliver to a subscription again."""
    body = {
        "only": only,
        "eventType": event_type,
        "since": since,
        "until": until,
        "dryRun": is_dry_run or None,
    }
    replay(remote, screen, (_PATH, subscription_id, "replay"), body, wait=wait)


command(app, "stats")(show_statistics)


def _turn(remote: Remote, screen: Screen, subscription_id: str, change: str) -> None:
    answer = remote.post(_PATH, subscription_id, change)
    screen.answer(answer, f"{subscription_id} is {answer.value['status']}.")
