"""Run the benchmarks: ``python -m bench [SCENARIO …] [--runs N] [--write]``.

Each scenario runs in fresh processes, several times; the figures are medians. Those of the floor,
a relay that promises nothing, stand beside them where both measure the same. ``--write`` puts the
tables into ``docs/performance.md`` and the figures into ``docs/performance.json``.
"""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.figures import CPU, Figures
from bench.scenarios import SCENARIOS
from bench.scenarios.cluster import API_CPU, WORKER_CPU
from tools.pages import DOCS, replace_block

_FIGURES = DOCS / "performance.json"
_ROLES = (
    ("API node: a single publish", "postgres-api-worker", API_CPU),
    ("API node: an event in a batch of 100", "postgres-batches", API_CPU),
    ("worker: a delivery over a connection that is kept", "postgres-api-worker", WORKER_CPU),
    ("worker: a delivery over a new TLS connection", "postgres-tls-closed", WORKER_CPU),
)
_FLOOR = "floor"


def medians(runs: list[Figures]) -> Figures:
    """The median of each figure over the runs."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def machine() -> str:
    """The machine in one line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}"


def table(results: Mapping[str, Figures], runs: Mapping[str, int]) -> str:
    """The figures as a Markdown table."""
    lines = [f"Medians, on {machine()}.", ""]
    lines += [
        "| scenario | runs | figure | value | share of the floor |",
        "|---|---:|---|---:|---:|",
    ]
    for scenario, figures in results.items():
        floor = results.get(_FLOOR, {}) if scenario != _FLOOR else {}
        lines += _rows(scenario, runs[scenario], figures, floor)
    return "\n".join(lines)


def _rows(scenario: str, runs: int, figures: Figures, floor: Figures) -> Iterator[str]:
    for name, value in figures.items():
        share = ""
        if name in floor and "MiB" not in name and value:
            # Of a cost, the floor's is the share that nobody can save.
            share = f"{(floor[name] / value if name == CPU else value / floor[name]):.0%}"
        yield f"| {scenario} | {runs} | {name} | {value:,.1f} | {share} |"


def write(results: Mapping[str, Figures], runs: Mapping[str, int]) -> None:
    """Put the figures into the documents; scenarios that were not run keep theirs."""
    known = json.loads(_FIGURES.read_text("utf-8")) if _FIGURES.exists() else {}
    for name, figures in results.items():
        known[name] = {"runs": runs[name], "machine": machine(), "figures": figures}
    known = {name: known[name] for name in SCENARIOS if name in known}
    _FIGURES.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", "utf-8")
    text = table(
        {name: one["figures"] for name, one in known.items()},
        {name: one["runs"] for name, one in known.items()},
    )
    replace_block(DOCS / "performance.md", "figures", text)
    replace_block(DOCS / "operations.md", "cluster figures", table_of_roles(known))


def table_of_roles(known: Mapping[str, Any]) -> str:
    """What one event costs the processes of a cluster, as a Markdown table."""
    lines = ["| what a process does | µs of CPU |", "|---|---:|"]
    for what, scenario, name in _ROLES:
        value = known.get(scenario, {}).get("figures", {}).get(name)
        lines.append(f"| {what} | {'_to be measured_' if value is None else f'{value:,.0f}'} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS], default=[])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    results: dict[str, Figures] = {}
    counts: dict[str, int] = {}
    for name in arguments.scenario or SCENARIOS:
        scenario = SCENARIOS[name]
        counts[name] = min(arguments.runs, scenario.runs)
        runs = []
        for number in range(counts[name]):
            runs.append(scenario.measure())
            figures = ", ".join(f"{figure} {value:,.1f}" for figure, value in runs[-1].items())
            print(f"{name} {number + 1}/{counts[name]}: {figures}", flush=True)
        results[name] = medians(runs)
    print(f"\n{table(results, counts)}")
    if arguments.write:
        write(results, counts)


if __name__ == "__main__":
    main()
