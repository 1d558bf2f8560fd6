"""Replays in bulk: begin one, and watch how far it has come."""

import threading
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from tidings.cli.output import Answer, CommandFailed, ExitCode, Screen
from tidings.cli.remote import Remote

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count what would be replayed.")]
Wait = Annotated[
    bool | None,
    typer.Option(
        "--wait/--no-wait",
        help="Wait until all are on their way again; unless told, only if somebody watches.",
        show_default=False,
    ),
]
_POLL_SECONDS: Final = 0.25
_POLLS_MAX: Final = 4 * 3_600 * 24


def replay(
    remote: Remote,
    screen: Screen,
    path: tuple[str, ...],
    body: Mapping[str, Any],
    *,
    wait: bool | None,
) -> None:
    """Begin a replay and say so, or wait for its end; the deliveries themselves go on after it."""
    answer = remote.post(*path, body=body)
    begun = answer.value
    if begun["replayId"] is None:
        screen.answer(answer, f"{begun['deliveries']} would be delivered again.")
        return
    if not (screen.is_watched if wait is None else wait):
        screen.answer(
            answer, f"{begun['deliveries']} are being delivered again ({begun['replayId']})."
        )
        return
    finished = _awaited(remote, screen, begun["replayId"])
    screen.answer(finished, f"{finished.value['done']} are on their way again.")


def _awaited(remote: Remote, screen: Screen, replay_id: str) -> Answer:
    pause = threading.Event()
    with screen.progress("Replaying") as progress:
        for _ in range(_POLLS_MAX):
            answer = remote.get("replays", replay_id)
            progress.reached(answer.value["done"], answer.value["deliveries"])
            if answer.value["status"] == "finished":
                return answer
            pause.wait(_POLL_SECONDS)
    raise CommandFailed(f"the replay {replay_id} goes on and on", ExitCode.UNAVAILABLE)
