"""Play seeds: `python -m simulation --seed 7 --trace`, `python -m simulation --seeds 0..10000`."""

import argparse
import multiprocessing
import sys
from collections.abc import Iterator

from simulation.catching import Caught, catch, fault_named, write_table
from simulation.figures import Figures
from simulation.planted_faults import PLANTED_FAULTS
from simulation.world import Outcome, play

_TOLD_EVERY = 250
"""After so many seeds it is told how far a long run is."""


def main(arguments: list[str] | None = None) -> int:
    """Play what is asked for; answers 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this seed")
    parser.add_argument("--trace", action="store_true", help="print every fact")
    parser.add_argument("--seeds", metavar="A..B", help="play the seeds from A up to B")
    parser.add_argument("--workers", type=int, default=1, help="share the seeds among processes")
    parser.add_argument(
        "--planted-faults", action="store_true", help="see that every planted fault is caught"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the table or the figures into the docs"
    )
    asked = parser.parse_args(arguments)
    if asked.planted_faults:
        return _planted_faults(asked.workers, is_written=asked.write)
    if asked.seed is not None:
        return _one(asked.seed, with_trace=asked.trace)
    first, last = (int(one) for one in (asked.seeds or "0..200").split(".."))
    return _many(range(first, last), asked.workers, is_written=asked.write)


def _one(seed: int, *, with_trace: bool) -> int:
    outcome = play(seed, trace=print if with_trace else None)
    print(
        f"seed {seed}: {outcome.hours:.1f} hours, {outcome.events} events, "
        f"{outcome.requests} requests, {outcome.lives} lives in {outcome.seconds:.2f} s"
    )
    print("faults: " + ", ".join(f"{name} {n}" for name, n in sorted(outcome.counted.items())))
    return _tell_broken(outcome)


def _many(seeds: range, workers: int, *, is_written: bool) -> int:
    figures = Figures()
    for outcome in _outcomes(seeds, workers):
        figures.add(outcome)
        _tell_broken(outcome)
        if figures.seeds % _TOLD_EVERY == 0:
            print(figures.line(), flush=True)
    if figures.seeds % _TOLD_EVERY:
        print(figures.line())
    told = sorted(figures.counted.items())
    print("faults: " + ", ".join(f"{name} {count:,}" for name, count in told))
    if is_written:
        figures.write(f"The seeds from {seeds.start:,} up to {seeds.stop:,}:")
    return 1 if figures.broken else 0


def _planted_faults(workers: int, *, is_written: bool) -> int:
    caught: list[Caught] = []
    with multiprocessing.Pool(workers) as pool:
        for one in pool.imap_unordered(_catch, [planted.name for planted in PLANTED_FAULTS]):
            caught.append(one)
            print(f"{one.name:45} {one.promise or 'NOT CAUGHT'} (seed {one.seed})", flush=True)
    missed = sum(one.promise is None for one in caught)
    print(f"{len(caught)} planted faults, {missed} not caught")
    if is_written:
        order = [planted.name for planted in PLANTED_FAULTS]
        write_table(sorted(caught, key=lambda one: order.index(one.name)))
    return 1 if missed else 0


def _catch(name: str) -> Caught:
    return catch(fault_named(name))


def _outcomes(seeds: range, workers: int) -> Iterator[Outcome]:
    if workers == 1:
        yield from map(play, seeds)
        return
    with multiprocessing.Pool(workers) as pool:
        yield from pool.imap(play, seeds, chunksize=4)


def _tell_broken(outcome: Outcome) -> int:
    if outcome.broken is None:
        return 0
    print(
        f"BROKEN: {outcome.broken.promise}\n"
        f"  {outcome.broken.detail}\n"
        f"  after {outcome.broken_at_hours:.3f} hours of seed {outcome.seed}; again with\n"
        f"  python -m simulation --seed {outcome.seed} --trace",
    )
    sys.stdout.flush()
    return 1


if __name__ == "__main__":
    sys.exit(main())
