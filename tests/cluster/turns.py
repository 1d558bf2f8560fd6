"""What is done to a cluster under load. Each turn leaves every process running again."""

import signal
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from tests.cluster.world import Cluster, Freeze

TAKE_OVER, HAND_OVER, FREEZE, JOIN = "take-over", "hand-over", "freeze", "join"
ALL_BACK: Final = "publishing goes on"

_MORE_EVENTS = 20

Figures = defaultdict[str, list[int]]
"""How long things took, in milliseconds."""


def new_figures() -> Figures:
    """No figures yet."""
    return defaultdict(list)


def kill_worker(one: Cluster, figures: Figures) -> None:
    """A worker is killed."""
    worker = one.draw.choice(one.workers)
    process = worker.pid
    at_ms = now_ms()
    assert worker.kill() == -signal.SIGKILL
    one.await_receivers()
    one.note_trouble("killed", process, at_ms, now_ms())
    shared = one.await_sharing(since_ms=now_ms())
    figures[TAKE_OVER].append(shared.at_ms - at_ms)
    figures["imbalance after a kill"].append(one.await_balance(since_ms=shared.at_ms).imbalance)
    _join(one, worker.start, figures)


def stop_worker(one: Cluster, figures: Figures) -> None:
    """A worker is stopped by `SIGTERM`."""
    worker = one.draw.choice(one.workers)
    process, at_ms = worker.pid, now_ms()
    worker.signal(signal.SIGTERM)
    shared = one.await_sharing(since_ms=at_ms, workers=len(one.workers) - 1)
    figures[HAND_OVER].append(shared.at_ms - at_ms)
    assert worker.await_end(seconds=60) == 0
    one.note_trouble("handed over", process, at_ms, now_ms())
    figures["imbalance after a stop"].append(one.await_balance(since_ms=shared.at_ms).imbalance)
    _join(one, worker.start, figures)


def freeze_worker(one: Cluster, figures: Figures) -> None:
    """A worker is stopped by `SIGSTOP` until others have its shards, and goes on."""
    worker = one.draw.choice(one.workers)
    worker.signal(signal.SIGSTOP)
    at_ms = now_ms()
    shared = one.await_sharing(since_ms=at_ms, workers=len(one.workers) - 1)
    figures[FREEZE].append(shared.at_ms - at_ms)
    one.wait(0.5, 2.0)
    resumed_ms = now_ms()
    _join(one, lambda: worker.signal(signal.SIGCONT), figures)
    owning = one.await_sharing(since_ms=resumed_ms)
    nothing_ms = one.watch.last_before(owning).at_ms
    one.freezes.append(Freeze(worker.pid, at_ms, shared.at_ms, resumed_ms, nothing_ms))
    one.note_trouble("frozen", worker.pid, at_ms, resumed_ms)


def kill_api_node(one: Cluster, _figures: Figures) -> None:
    """An API node is killed."""
    node = one.draw.choice(one.nodes)
    assert node.kill() == -signal.SIGKILL
    one.wait(0.5, 1.5)
    node.start()


def stop_api_node(one: Cluster, _figures: Figures) -> None:
    """An API node is stopped by `SIGTERM`."""
    node = one.draw.choice(one.nodes)
    node.signal(signal.SIGTERM)
    assert node.await_end(seconds=60) == 0
    node.start()


def freeze_api_node(one: Cluster, _figures: Figures) -> None:
    """An API node is stopped by `SIGSTOP` for longer than anybody waits, and goes on."""
    node = one.draw.choice(one.nodes)
    node.signal(signal.SIGSTOP)
    one.wait(2.5, 4.0)
    node.signal(signal.SIGCONT)


def crash_database(one: Cluster, figures: Figures) -> None:
    """The database crashes, and is started again."""
    at_ms = now_ms()
    one.database.restart("immediate")
    for node in one.nodes:
        node.await_ready()
    one.await_accepted(min(len(one.accepted()) + _MORE_EVENTS, one.size.events))
    figures[ALL_BACK].append(now_ms() - at_ms)
    one.await_balance(since_ms=now_ms())


TURNS: Final[Mapping[str, Callable[[Cluster, Figures], None]]] = {
    "kill worker": kill_worker,
    "stop worker": stop_worker,
    "freeze worker": freeze_worker,
    "kill node": kill_api_node,
    "stop node": stop_api_node,
    "freeze node": freeze_api_node,
    "crash database": crash_database,
}


def _join(one: Cluster, begin: Callable[[], object], figures: Figures) -> None:
    """Have a worker join, and wait until it has its share."""
    at_ms = now_ms()
    begin()
    joined_ms = now_ms()
    balance = one.await_balance(since_ms=at_ms)
    figures[JOIN].append(max(0, balance.at_ms - joined_ms))
    figures["imbalance after a join"].append(balance.imbalance)
    # Shards were handed over by those that went on.
    one.note_trouble("shared anew", 0, at_ms, balance.at_ms)


def now_ms() -> int:
    """The time by the system's clock, in milliseconds."""
    return round(time.time() * 1_000)
