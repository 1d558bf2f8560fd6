"""Count what the tests of security try, and write the table in docs/security.md.

``python -m tools.security_counts`` runs these tests (a few minutes) and fails if one of them does.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.support.tally import FAMILIES, FOLDER_VARIABLE, NEVER
from tools.pages import DOCS, replace_block

ROOT = Path(__file__).resolve().parents[1]
_RESULTS_SHOWN = 6

Counts = Mapping[str, Mapping[str, int]]


def counted(folder: Path) -> Counts:
    """The counts that the processes of a run have left, by family and result."""
    found: dict[str, Counter[str]] = {family: Counter() for family in FAMILIES.values()}
    for path in folder.glob("*.json"):
        for family, result, number in json.loads(path.read_text("utf-8")):
            found[family][result] += number
    return found


def table(counts: Counts) -> str:
    """The counts as a Markdown table, and below it what must never have happened."""
    lines = ["| family | tried | results |", "|---|---:|---|"]
    for family, results in counts.items():
        tried = {name: number for name, number in results.items() if name not in NEVER}
        common = sorted(tried.items(), key=lambda item: (-item[1], item[0]))
        texts = [f"{number:,} {name}" for name, number in common[:_RESULTS_SHOWN]]
        others = sum(number for _, number in common[_RESULTS_SHOWN:])
        texts += [f"{others:,} others"] if others else []
        lines.append(f"| {family} | {sum(tried.values()):,} | {', '.join(texts)} |")
    lines += ["", "| what must not happen | times |", "|---|---:|"]
    for name in NEVER:
        times = sum(results.get(name, 0) for results in counts.values())
        lines.append(f"| {name} | {times} |")
    return "\n".join(lines)


def main() -> int:
    """Run the tests, then write the table."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *_places()]
        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, FOLDER_VARIABLE: folder}, check=False
        )
        if ended.returncode:
            return ended.returncode
        text = table(counted(Path(folder)))
    replace_block(DOCS / "security.md", "counts", text)
    return 0


def _places() -> list[str]:
    """The files and folders of all families; what another test runs is left to that."""
    return [place for place in FAMILIES if not place.endswith("_cases.py")]


if __name__ == "__main__":
    sys.exit(main())
