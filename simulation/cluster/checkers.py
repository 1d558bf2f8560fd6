"""What must hold whatever happens, judged from the tables and from what reaches receivers."""

from collections import Counter
from collections.abc import Collection
from typing import Protocol

_OWN_FAULT_PASSED_MS = 15_000


class PromiseBroken(Exception):
    """A promise does not hold. `promise` names it."""

    def __init__(self, promise: str, detail: str) -> None:
        super().__init__(f"{promise}: {detail}")
        self.promise = promise


class Sees(Protocol):
    """What the judge may look at."""

    def owner_of(self, shard: int) -> str | None:
        """The session that owns a shard, if it has one that exists."""
        ...

    def is_there(self, session: str) -> bool:
        """Whether the session exists."""
        ...

    def may_send(self, session: str) -> bool:
        """Whether its worker would start a send at this moment, for any shard."""
        ...

    def healthy_since_ms(self, session: str) -> float | None:
        """Since when its worker has had no trouble of its own; None if it has some or is gone."""
        ...


class Judge:
    """Hears of every fact, and raises `PromiseBroken` at the first that must not be."""

    def __init__(self) -> None:
        self.sees: Sees | None = None
        self.moves = 0
        self.overlaps = 0
        self.counted: Counter[str] = Counter()
        self._under_way: dict[int, list[str]] = {}
        self._ended: set[str] = set()

    def send_started(self, session: str, shard: int, row_id: int) -> None:
        """One owner at a time starts sends; overlaps with a former one are window W5 alone."""
        assert self.sees is not None
        owner = self.sees.owner_of(shard)
        if owner != session:
            raise PromiseBroken("one owner starts", f"{session} sends for {shard} of {owner}")
        others = self._under_way.setdefault(row_id, [])
        for other in others:
            if other == session or self.sees.is_there(other):
                raise PromiseBroken("overlap only in W5", f"{session} beside {other}: row {row_id}")
            self.overlaps += 1
        others.append(session)

    def send_over(self, session: str, row_id: int) -> None:
        """A request was answered, ran out of time, or died with its worker."""
        self._under_way[row_id].remove(session)

    def written(self, session: str, shard: int, owner: str | None) -> None:
        """Nobody writes without a session, nor for a shard of somebody else."""
        assert self.sees is not None
        if not self.sees.is_there(session):
            raise PromiseBroken("no write by a fenced session", f"{session} wrote for {shard}")
        if owner != session:
            raise PromiseBroken("only the owner writes", f"{session} wrote for {shard} of {owner}")

    def session_ended(self, session: str, now_ms: float) -> None:
        """Nobody is robbed whose only trouble was the database's."""
        assert self.sees is not None
        since_ms = self.sees.healthy_since_ms(session)
        self.counted["sessions ended"] += 1
        self._ended.add(session)
        if self.sees.may_send(session):
            raise PromiseBroken("one owner starts", f"{session} was ended and may still send")
        if since_ms is not None and now_ms - since_ms > _OWN_FAULT_PASSED_MS:
            raise PromiseBroken("nobody is robbed", f"{session} was well and lost its shards")

    def session_renewed(self, session: str) -> None:
        """What was ended stays ended, or the fence would be gone."""
        if session in self._ended:
            raise PromiseBroken("an ended session stays ended", session)

    def shard_moved(self) -> None:
        """Moves are counted; `expect_calm` says how many there may be."""
        self.moves += 1
        self.counted["moves"] += 1

    # What must hold at certain moments.

    def expect_all_owned(self, owned: int, shards: int, when: str) -> None:
        """Every shard has an owner who exists."""
        if owned != shards:
            raise PromiseBroken("owned again in time", f"{shards - owned} shards are not, {when}")

    def expect_fair(self, counts: Collection[int], when: str) -> None:
        """No worker has two shards more than another."""
        if max(counts) - min(counts) > 1:
            raise PromiseBroken("fair share", f"{sorted(counts)} {when}")

    def expect_calm(self, moves: int, allowed: int, when: str) -> None:
        """Shards do not move without need."""
        if moves > allowed:
            raise PromiseBroken("bounded moves", f"{moves} moves, {when}")

    def expect_nothing_stranded(self, rows: int) -> None:
        """With all faults over, every row comes to its end."""
        if rows:
            raise PromiseBroken("nothing is stranded", f"{rows} rows are unfinished")
