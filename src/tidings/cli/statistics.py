"""Statistics for people: a few lines about the whole span, and a table of its buckets."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from tidings.cli.output import Answer, Screen
from tidings.cli.remote import Remote

_COLUMNS: Final = {
    "from": "start",
    "attempts": "attempts",
    "success": "success",
    "p50 ms": "p50",
    "p95 ms": "p95",
    "p99 ms": "p99",
    "dead letters": "deadLettered",
}

Figures = Mapping[str, Any]


def show_statistics(
    remote: Remote,
    screen: Screen,
    subscription_id: Annotated[
        str | None,
        typer.Argument(
            metavar="SUBSCRIPTION_ID", help="The subscription's id; else all of the tenant."
        ),
    ] = None,
    *,
    since: Annotated[
        str | None,
        typer.Option(help="From: 2024-05-04T12:00:00Z; a day before the end unless told."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="To: 2024-05-05T12:00:00Z; now unless told.")
    ] = None,
    bucket: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", help="How long a bucket is: 10, 60, 3600 …"),
    ] = None,
) -> None:
    """Show what came of attempts in the course of time, how fast answers are, and what waits."""
    path: tuple[str, ...] = ("stats",)
    if subscription_id is not None:
        path = ("webhook-subscriptions", subscription_id, "stats")
    answer = remote.get(*path, since=since, until=until, bucketSeconds=bucket)
    screen.answer(answer)
    _tell(screen, answer)


def _tell(screen: Screen, answer: Answer) -> None:
    found = answer.value
    outcomes = ", ".join(f"{count} {name}" for name, count in found["outcomes"].items() if count)
    screen.line(f"{found['since']} to {found['until']}")
    screen.line(f"attempts      {found['attempts']}" + (f": {outcomes}" if outcomes else ""))
    screen.line(f"success       {_percent(found['successShare'])}")
    latency = ", ".join(
        f"{name} {value} ms" for name, value in found["latencyMs"].items() if value is not None
    )
    screen.line(f"latency       {latency or '-'}")
    screen.line(f"dead letters  {found['deadLettered']}")
    screen.line(f"waiting       {_backlog(found['backlog'])}")
    if "health" in found:
        screen.line(f"health        {found['health']}")
    screen.table([_row(one) for one in found["buckets"]], _COLUMNS)


def _row(bucket: Figures) -> dict[str, Any]:
    return {**bucket, **bucket["latencyMs"], "success": _percent(bucket["successShare"])}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.2f} %"


def _backlog(backlog: Figures) -> str:
    count = f"{backlog['pending']:,}" + ("+" if backlog["isMore"] else "")
    oldest = backlog["oldestCreatedAt"]
    return count if oldest is None else f"{count}, the oldest since {oldest}"
