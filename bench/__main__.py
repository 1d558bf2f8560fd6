"""Run the benchmarks: ``python -m bench [SCENARIO …] [--runs N] [--write]``.

Each scenario runs in fresh processes, N times (5 by default); the figures are medians. ``--write``
puts the table into ``docs/performance.md``.
"""

import argparse
import os
import platform
import statistics
from pathlib import Path

from bench.scenarios import SCENARIOS, Figures

_REPORT = Path(__file__).parent.parent / "docs" / "performance.md"
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"


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


def table(results: dict[str, Figures], runs: int) -> str:
    """The figures as a Markdown table."""
    lines = [f"Medians of {runs} runs on {machine()}.", "", "| scenario | figure | value |"]
    lines.append("|---|---|---:|")
    for scenario, figures in results.items():
        lines += [f"| {scenario} | {name} | {value:,.1f} |" for name, value in figures.items()]
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS], default=[])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    results = {}
    for name in arguments.scenario or SCENARIOS:
        runs = []
        for number in range(arguments.runs):
            runs.append(SCENARIOS[name]())
            figures = ", ".join(f"{figure} {value:,.1f}" for figure, value in runs[-1].items())
            print(f"{name} {number + 1}/{arguments.runs}: {figures}", flush=True)
        results[name] = medians(runs)
    text = table(results, arguments.runs)
    print(f"\n{text}")
    if arguments.write:
        report = _REPORT.read_text()
        before, _, rest = report.partition(_BEGIN)
        after = rest.partition(_END)[2]
        _REPORT.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}")


if __name__ == "__main__":
    main()
