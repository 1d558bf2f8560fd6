"""What a run came to, as a row of the table in docs/reliability.md."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from tests.crashes.account import ASKED_FOR, LATE, W4, Account
from tests.crashes.world import World


@dataclass(frozen=True)
class Figures:
    """One way to die: how often, and what followed."""

    how: str
    times: int
    accepted: int
    lost: int
    w1: int
    w2: int
    w3: int
    w4: int
    duplicates: int
    late: int
    asked_for: int
    unexplained: int


TITLES: Final = (
    "how it died",
    "times",
    "accepted",
    "lost",
    "W1",
    "W2",
    "W3",
    "W4",
    "duplicates by W4",
    "by late answers",
    "by replays asked for",
    "unexplained",
)
assert len(TITLES) == len(fields(Figures))


def figures_of(how: str, one: World, balance: Account | None = None) -> Figures:
    """The row of a world. Without a balance nothing was published while it was killed."""
    ledger = balance.ledger if balance else None
    return Figures(
        how,
        times=len(one.deaths) or one.pauses,
        accepted=balance.accepted if balance else 0,
        lost=len(balance.lost) if balance else 0,
        w1=ledger.repeated_before_commit if ledger else 0,
        w2=ledger.repeated_after_commit if ledger else 0,
        w3=ledger.repeated_after_refusal if ledger else 0,
        w4=sum(balance.off_record.values()) if balance else 0,
        duplicates=balance.duplicates[W4] if balance else 0,
        late=balance.duplicates[LATE] if balance else 0,
        asked_for=balance.duplicates[ASKED_FOR] if balance else 0,
        unexplained=len(balance.unexplained) if balance else 0,
    )


def table(rows: Sequence[Figures]) -> str:
    """The rows and their sum as a table."""
    numbers: list[dict[str, Any]] = [asdict(row) for row in rows]
    names = [field.name for field in fields(Figures)][1:]
    total = {"how": "**all**"} | {name: sum(row[name] for row in numbers) for name in names}
    lines = [f"| {' | '.join(TITLES)} |", "|---|" + "---:|" * len(names)]
    for row in (*numbers, total):
        cells = [str(row["how"]), *(f"{row[name]:,}" for name in names)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
