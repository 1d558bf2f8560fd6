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
    """At any moment while events come and go."""
    world.wait(0.05, 0.6)
    world.kill("load")
    world.server.start()


def during_start(world: World) -> None:
    """Again before it is ready: while it opens the database, restores, or begins to listen."""
    world.wait(0.0, 0.2)
    world.kill("load")
    world.server.spawn()
    world.wait(0.0, 1.2)
    world.kill("start")
    world.server.start()


def during_drain(world: World) -> None:
    """While it comes to rest after SIGTERM, with requests in flight."""
    world.wait(0.05, 0.4)
    world.server.signal(signal.SIGTERM)
    world.wait(0.0, 0.15)
    world.kill("drain")
    world.server.start()


def during_backup(world: World) -> None:
    """While `tidings database backup` copies beside it; what the backup holds is tried later."""
    world.wait(0.05, 0.3)
    copy = world.folder / f"backup-{len(world.backups)}.db"
    command = [sys.executable, "-m", "tidings", "database", "backup", str(copy)]
    with subprocess.Popen(
        [*command, "--data-dir", str(world.server.data_dir)], stdout=subprocess.DEVNULL
    ) as copying:
        world.wait(0.3, 0.7)
        world.kill("backup")
        assert copying.wait(30) == 0
    world.backups.append(copy)
    world.server.start()


def during_replay(world: World) -> None:
    """While a replay in bulk makes new rows, batch by batch."""
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
    """Stopped for longer than anybody waits, then let go on as if nothing had been."""
    world.wait(0.05, 0.3)
    world.server.signal(signal.SIGSTOP)
    world.wait(2.2, 2.8)
    world.server.signal(signal.SIGCONT)
    world.pauses += 1


def in_a_write(world: World) -> None:
    """In the middle of one of its writes to the disk, of which a part gets there."""
    world.server.stop()
    writes, share = world.draw.randrange(100, 1_500), world.draw.random()
    world.server.spawn("tests.crashes.torn_writes", str(writes), str(share))
    assert world.server.await_end(seconds=60) == -signal.SIGKILL
    world.note_death("torn write")
    world.server.start()


def with_a_torn_log(world: World) -> None:
    """Under load, with what a torn write may leave in the log behind its last commit."""
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
