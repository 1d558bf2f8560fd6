"""Ways to die. Each leaves the server running again, and notes the deaths that it caused."""

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.crashes import receiver
from tests.crashes.world import World
from tests.crashes.write_ahead_log import read_log, scribble_behind

_REPLAY_SECONDS = 3


def under_load(world: World) -> None:
    """Under load, at any moment."""
    world.wait(0.05, 0.6)
    world.kill("load")
    world.server.start()


def during_start(world: World) -> None:
    """In its start, before it is ready."""
    world.wait(0.0, 0.2)
    world.kill("load")
    world.server.spawn()
    world.wait(0.0, 1.2)
    world.kill("start")
    world.server.start()


def during_drain(world: World) -> None:
    """While it comes to rest after `SIGTERM`."""
    world.wait(0.05, 0.4)
    world.server.signal(signal.SIGTERM)
    world.wait(0.0, 0.15)
    world.kill("drain")
    world.server.start()


def during_backup(world: World) -> None:
    """While `tidings database backup` copies beside it."""
    world.wait(0.05, 0.3)
    copy = world.folder / f"backup-{len(world.backups)}.db"
    world.backups[copy] = world.accepted()
    command = [sys.executable, "-m", "tidings", "database", "backup", str(copy)]
    with subprocess.Popen(
        [*command, "--data-dir", str(world.server.data_dir)], stdout=subprocess.DEVNULL
    ) as copying:
        world.wait(0.3, 0.7)
        world.kill("backup")
        assert copying.wait(30) == 0
    world.server.start()


def during_replay(world: World) -> None:
    """While a replay in bulk goes on."""
    since = datetime.now(UTC) - timedelta(seconds=_REPLAY_SECONDS)
    begun = world.server.call(
        "POST",
        f"/webhook-subscriptions/{world.subscription_ids[receiver.STEADY]}/replay",
        {"only": "all", "since": since.isoformat()},
    )
    world.replay_ids.append(begun["replayId"])
    world.wait(0.0, 0.15)
    world.kill("replay")
    world.server.start()


def while_paused(world: World) -> None:
    """Not killed: stopped by `SIGSTOP` for longer than anybody waits."""
    world.wait(0.05, 0.3)
    world.server.signal(signal.SIGSTOP)
    world.wait(2.2, 2.8)
    world.server.signal(signal.SIGCONT)
    world.pauses += 1


def in_a_write(world: World) -> None:
    """In a write to the disk, of which a part gets there."""
    world.server.stop()
    writes, share = world.draw.randrange(100, 1_500), world.draw.random()
    world.server.spawn("tests.crashes.torn_writes", str(writes), str(share))
    assert world.server.await_end(seconds=60) == -signal.SIGKILL
    world.note_death("torn write")
    world.server.start()


def with_a_torn_log(world: World) -> None:
    """Under load, and then its log ends in a torn write."""
    world.wait(0.05, 0.6)
    world.kill("torn log")
    scribble_behind(read_log(world.server.write_ahead_log), world.draw)
    world.server.start()


KINDS: Final[Mapping[str, Callable[[World], None]]] = {
    "load": under_load,
    "start": during_start,
    "drain": during_drain,
    "backup": during_backup,
    "replay": during_replay,
    "torn write": in_a_write,
    "torn log": with_a_torn_log,
    "pause": while_paused,
}
