"""A disk that fills up under load, with and without the reserve, and a kill while it is full.

It is a program, because the disk is a small one in memory that only its own mount namespace sees:
``python -m tests.crashes.full_disk FOLDER SEED ROUNDS``. It prints its balance as JSON. `run`
starts it where that is permitted.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.crashes.account import Account, account, expect_clean
from tests.crashes.figures import figures_of
from tests.crashes.publishers import ANSWER_SECONDS, Stream
from tests.crashes.world import World, world
from tidings.core import limits

_DISK_MIB = 192
_RESERVE = limits.DISK_RESERVE_BYTES
_CHUNK = 1024 * 1024
_UNSHARED = ("unshare", "--mount")
_TIMEOUT_SECONDS = 300
_TRIES = 5
_RESULT_SECONDS = 6.0
"""By then every attempt that was under way has ended."""
_EVENT_TEXT = "x" * 2_000


class NotPermitted(Exception):
    """There is no mounting here; the text says why."""


def run(folder: Path, seed: int, *, rounds: int) -> Any:
    """Run the program in a namespace of its own; answers its balance. Raises `NotPermitted`."""
    unshare = [*_UNSHARED, *(["--map-root-user"] if os.geteuid() else [])]
    disk = folder / "disk"
    disk.mkdir(parents=True)
    mount = f'mount -t tmpfs -o size={_DISK_MIB}m tidings "$0" && exec "$@"'
    inside = [*unshare, "sh", "-c", mount, str(disk)]
    try:
        tried = subprocess.run([*inside, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError as fault:
        raise NotPermitted("there is no unshare") from fault
    if tried.returncode:
        raise NotPermitted(tried.stderr.strip() or "mounting failed")
    program = [sys.executable, "-m", "tests.crashes.full_disk", str(folder), str(seed)]
    ended = subprocess.run(
        [*inside, *program, str(rounds)],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


class Ballast:
    """What else is on the disk."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._path = disk / "ballast"

    def leave(self, free_bytes: int) -> None:
        """Fill the disk but for so many bytes, and for nothing if that is 0."""
        with self._path.open("ab", buffering=0) as file:
            # Most of it at once, before the server has done all that it had to do. It fails, and
            # takes nothing, if the server has taken much of it meanwhile.
            most = self._free() - free_bytes - _CHUNK
            if most > 0:
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), file.tell(), most)
            with contextlib.suppress(OSError):
                while (more := self._free() - free_bytes) > 0 or not free_bytes:
                    file.write(bytes(max(1, min(more, _CHUNK))))

    def go(self) -> None:
        self._path.unlink()

    def _free(self) -> int:
        found = os.statvfs(self._disk)
        return found.f_bavail * found.f_frsize


def rounds_of(one: World, rounds: int) -> Account:
    """Fill the disk and free it again, in both ways and with a kill in between."""
    ballast = Ballast(one.server.data_dir.parent)
    one.start()
    one.publish(Stream(data=_EVENT_TEXT))
    for _ in range(rounds):
        one.wait(0.1, 0.4)
        _nearly_full(one, ballast)
        one.await_new_events()
        _full(one, ballast)
        one.await_new_events()
        _killed_while_full(one, ballast)
        one.await_new_events()
    return account(one, one.settle())


def _nearly_full(one: World, ballast: Ballast) -> None:
    """Below the reserve nothing is accepted, and what was accepted is delivered to the end."""
    ballast.leave(_RESERVE // 2)
    _await_refusals(one)
    answer = one.server.client.get("/health/ready")
    assert answer.status_code == 503
    assert "the disk is nearly full" in answer.text
    # Whoever was answered before has put it down by then.
    time.sleep(ANSWER_SECONDS)
    accepted = len(one.accepted())
    one.await_the_end_of_deliveries()
    assert len(one.accepted()) == accepted
    ballast.go()


def _full(one: World, ballast: Ballast) -> None:
    """With not a byte left results wait, and so does everything else."""
    for _ in range(_TRIES):
        # A log that has been used before has room of its own; after a clean stop it begins anew.
        assert one.server.stop() == 0
        one.server.start()
        one.await_new_events()
        ballast.leave(0)
        _await_refusals(one)
        if one.comes_true(lambda: _results_wait(one), seconds=_RESULT_SECONDS):
            break
        # All that was accepted had ended before the disk was full to the end.
        ballast.go()
    else:
        raise AssertionError("no result waits for room on the disk")
    assert one.server.client.get("/health/ready").status_code == 503
    assert one.server.client.get("/health/live").status_code == 200
    one.wait(0.3, 0.8)
    ballast.go()


def _results_wait(one: World) -> bool:
    lines = one.server.client.get("/metrics").text.splitlines()
    values = [
        line.split(" ")[1] for line in lines if line.startswith("tidings_results_unrecorded ")
    ]
    return float(values[0]) > 0


def _killed_while_full(one: World, ballast: Ballast) -> None:
    """What waited in memory is lost, and so sent again: window W4. The start may have to wait."""
    ballast.leave(0)
    _await_refusals(one)
    one.kill("full disk")
    one.server.spawn()
    one.wait(0.5, 1.0)
    one.kill("full disk")
    ballast.go()
    one.server.start()


def _await_refusals(one: World) -> None:
    before = one.refused()
    one.until(lambda: one.refused() >= before + 4, "nothing is refused on a full disk")


def main() -> None:
    folder, seed, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with world(folder, seed, disk=folder / "disk") as one:
        one.server.output = folder / "server.log"
        balance = rounds_of(one, rounds)
        expect_clean(balance)
        assert one.server.stop() == 0
        figures = figures_of("While the disk is full, under load", one, balance)
        found = dataclasses.asdict(figures) | {"refused": balance.ledger.refused}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
