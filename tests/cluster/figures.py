"""What a run came to, as the tables in docs/reliability.md."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from tests.cluster.account import W5, ClusterAccount
from tests.cluster.turns import ALL_BACK, FREEZE, HAND_OVER, JOIN, TAKE_OVER, Figures
from tests.cluster.world import Cluster
from tests.crashes.account import LATE, W4

_TIMES = {
    TAKE_OVER: "`SIGKILL` until others own every shard",
    FREEZE: "`SIGSTOP` until others own every shard",
    HAND_OVER: "`SIGTERM` until others own every shard",
    JOIN: "ready, or resumed, until it owns its share",
    ALL_BACK: "the database crashes, until 20 more events are accepted",
}
_IMBALANCE = "imbalance after "


def text(one: Cluster, balance: ClusterAccount, figures: Figures, done: Mapping[str, int]) -> str:
    """Everything, in the order in which it is told."""
    return "\n".join(
        [
            *_table(["what was done", "times"], [[how, f"{n}"] for how, n in done.items()]),
            "",
            *_table(["what was promised", "count"], _promises(one, balance)),
            "",
            *_table(
                ["how long it took, in seconds", "times", "least", "median", "most"],
                [[title, *_spread(figures[name])] for name, title in _TIMES.items()],
            ),
            "",
            *_table(
                ["shards that one worker has more than another", "times", "most"],
                [
                    [name.removeprefix(_IMBALANCE), f"{len(seen)}", f"{max(seen)}"]
                    for name, seen in sorted(figures.items())
                    if name.startswith(_IMBALANCE)
                ],
            ),
            "",
        ]
    )


def _promises(one: Cluster, balance: ClusterAccount) -> Iterator[Sequence[str]]:
    ledger = balance.ledger
    counts = {
        "events accepted": balance.accepted,
        "deliveries of them": len(balance.delivery_ids),
        "requests that the receivers got": balance.requests,
        "accepted, and not received by everybody who wanted it": len(balance.lost),
        "repeats without a reason, keys out of order, rates exceeded, requests of the fenced": (
            len(balance.unexplained)
        ),
        "W1: publishes repeated that had left nothing": ledger.repeated_before_commit,
        "W2: publishes repeated that had been accepted": ledger.repeated_after_commit,
        "W3: publishes refused with 503 that were accepted": ledger.repeated_after_refusal,
        "W4: requests on no record, answered before their worker was killed": (
            balance.off_record[W4]
        ),
        "W5: requests on no record, under way when their worker lost its shard": (
            balance.off_record[W5]
        ),
        "duplicates by W4": balance.duplicates[W4],
        "duplicates by W5": balance.duplicates[W5],
        "duplicates by late answers": balance.duplicates[LATE],
        "requests that a frozen worker left behind, and that came when it went on": (
            len(balance.left_behind)
        ),
    }
    yield from ([name, f"{number:,}"] for name, number in counts.items())


def _spread(times_ms: Sequence[int]) -> Sequence[str]:
    if not times_ms:
        return ["0", "", "", ""]
    spread = (min(times_ms), median(times_ms), max(times_ms))
    return [f"{len(times_ms)}", *(f"{one / 1_000:.1f}" for one in spread)]


def _table(titles: Sequence[str], rows: Iterator[Sequence[str]] | list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield "|---|" + "---:|" * (len(titles) - 1)
    yield from (f"| {' | '.join(row)} |" for row in rows)
