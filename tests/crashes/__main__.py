"""The long run: `make crash`. Every way to die several times, and what came of it as a table.

With ``--write`` the table goes into docs/reliability.md, between its marks.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.crashes import full_disk, scenarios
from tests.crashes.account import account
from tests.crashes.figures import Figures, figures_of, table
from tests.crashes.kills import KINDS
from tests.crashes.world import world
from tools.pages import DOCS, replace_block


def main() -> int:
    """Run everything; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crashes", description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--each", type=int, default=7, help="how often each way to die is tried")
    parser.add_argument("--write", action="store_true", help="write the table into the docs")
    given = parser.parse_args()
    rows: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder:
        for row in _rows(Path(folder), given.seed, given.each):
            rows.append(row)
            sys.stdout.write(f"{row}\n")
        commits = scenarios.cut_logs(_made(Path(folder) / "cut"), given.seed, cuts=given.each)
    text = _text(rows, given.seed, given.each, commits)
    sys.stdout.write(text)
    if given.write:
        replace_block(DOCS / "reliability.md", "crash figures", text)
    return 1 if any(row.lost or row.unexplained for row in rows) else 0


def _rows(folder: Path, seed: int, each: int) -> Iterator[Figures]:
    for name, die in KINDS.items():
        with world(_made(folder / name), seed) as one:
            one.start()
            one.publish()
            while max(len(one.deaths), one.pauses) < each:
                one.await_new_events()
                die(one)
            one.wait(0.1, 0.3)
            how = (die.__doc__ or name).split("\n")[0].rstrip(".")
            balance = account(one, one.settle())
            for fault in (*balance.lost, *balance.unexplained):
                sys.stdout.write(f"FAULT: {fault}\n")
            yield figures_of(how, one, balance)
            one.server.stop()
    yield figures_of(
        "In the writes of the first start, migrations included",
        scenarios.first_starts(_made(folder / "first"), seed, kills=each),
    )
    yield figures_of(
        "In the writes of retention",
        scenarios.retention(_made(folder / "retention"), seed, kills=each),
    )
    try:
        row = full_disk.run(_made(folder / "full"), seed, rounds=(each + 1) // 2)
    except full_disk.NotPermitted as reason:
        sys.stdout.write(f"NOT TRIED: a full disk ({reason})\n")
    else:
        row.pop("refused")
        yield Figures(**row)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _text(rows: list[Figures], seed: int, each: int, commits: int) -> str:
    day = datetime.now(UTC).date().isoformat()
    return (
        f"Run on {day} with {os.cpu_count()} cores, Python {platform.python_version()},"
        f" seed {seed}.\n\n{table(rows)}\n\n"
        f"Besides, the end of a log was cut off or damaged {each} times, and {commits} commits\n"
        "with it; what remained was sound, whole and delivered each time.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
