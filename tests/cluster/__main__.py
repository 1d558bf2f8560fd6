"""The long run: `make cluster`. A cluster goes through every turn several times, under load.

With ``--write`` its tables go into docs/reliability.md, between their marks.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.cluster.account import account
from tests.cluster.figures import text
from tests.cluster.turns import TURNS, new_figures
from tests.cluster.world import LARGE, cluster
from tests.support.postgres_server import installations
from tools.pages import DOCS, replace_block

_TIMES: Final = {
    "kill worker": 11,
    "stop worker": 11,
    "freeze worker": 3,
    "kill node": 3,
    "stop node": 2,
    "freeze node": 2,
    "crash database": 3,
}


def main() -> int:
    """Run everything; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--events", type=int, default=LARGE.events)
    parser.add_argument("--write", action="store_true", help="write the tables into the docs")
    given = parser.parse_args()
    installation = installations()[-1]
    size = LARGE._replace(events=given.events)
    began = time.monotonic()
    figures, done = new_figures(), Counter[str]()
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster(Path(folder), given.seed, installation, size) as one,
    ):
        one.start_everything()
        turns = [name for name, times in _TIMES.items() for _ in range(times)]
        one.draw.shuffle(turns)
        for index, name in enumerate(turns):
            one.await_accepted(size.events * index // len(turns))
            TURNS[name](one, figures)
            done[(TURNS[name].__doc__ or name).rstrip(".")] += 1
            sys.stdout.write(f"{time.monotonic() - began:.0f} s: {name}\n")
            sys.stdout.flush()
        one.await_accepted(size.events)
        balance = account(one, one.settle())
        for fault in (*balance.lost, *balance.unexplained):
            sys.stdout.write(f"FAULT: {fault}\n")
        seconds = round(time.monotonic() - began)
        told = text(one, balance, figures, done)
    day = datetime.now(UTC).date().isoformat()
    told = (
        f"Run on {day} with {os.cpu_count()} cores, Python {platform.python_version()},"
        f" PostgreSQL {installation.version}, seed {given.seed}, in {seconds} seconds.\n\n{told}"
    )
    sys.stdout.write(told)
    if given.write:
        replace_block(DOCS / "reliability.md", "cluster figures", told)
    return 1 if balance.lost or balance.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
