"""Play worlds of several workers: `python -m simulation.cluster --seeds 0..1000`."""

import argparse
import sys
import time
from collections import Counter

from simulation.cluster.planted_faults import PLANTED
from simulation.cluster.world import play

_SEEDS_TO_CATCH = 100


def main() -> int:
    """Play what is asked for; answers 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m simulation.cluster", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this seed")
    parser.add_argument("--seeds", metavar="A..B", default="0..200", help="play A up to B")
    parser.add_argument("--planted", action="store_true", help="print which seed shows what")
    asked = parser.parse_args()
    if asked.planted:
        return _catch_planted()
    first, last = (int(one) for one in asked.seeds.split(".."))
    seeds = range(first, last) if asked.seed is None else range(asked.seed, asked.seed + 1)
    began = time.perf_counter()
    counted: Counter[str] = Counter()
    virtual_ms = 0.0
    rows = overlaps = broken = 0
    for seed in seeds:
        outcome = play(seed)
        counted.update(outcome.counted)
        virtual_ms += outcome.virtual_ms
        rows += outcome.rows
        overlaps += outcome.overlaps
        if outcome.broken is not None:
            broken += 1
            print(f"BROKEN {outcome.broken}\n  python -m simulation.cluster --seed {seed}")
    took = time.perf_counter() - began
    print(f"{len(seeds)} seeds, {virtual_ms / 3.6e6:.1f} hours, {rows} rows, {took:.1f} s")
    print(f"requests of two owners at once (W5): {overlaps}; broken: {broken}")
    print(", ".join(f"{name} {times}" for name, times in sorted(counted.items())))
    return 1 if broken else 0


def _catch_planted() -> int:
    """Print the table of docs/reliability.md; answers 1 when a planted fault was not caught."""
    missed = 0
    print("| planted fault | caught by | seed |\n|---|---|---:|")
    for fault in PLANTED:
        found = fault.caught(range(_SEEDS_TO_CATCH))
        missed += found is None
        by = "nothing | " if found is None else f"{found[1].promise} | {found[0]}"
        print(f"| {fault.name} | {by} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
