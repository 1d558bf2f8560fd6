"""The tables that workers share, each method one atomic statement of the database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from simulation.cluster.checkers import Judge
from tidings.core import limits
from tidings.core.ownership import (
    ClaimShards,
    CloseSession,
    EndSession,
    Observation,
    OpenSession,
    ReleaseShards,
    RenewSession,
    ShardRow,
    Statement,
)


@dataclass
class Row:
    """An unfinished delivery."""

    row_id: int
    shard: int
    attempts: int = 0
    due_at_ms: float = 0


@dataclass(frozen=True)
class Entry:
    """What a result writes: an attempt more, or only a due time if it `is_cut`."""

    row_id: int
    shard: int
    attempts: int
    due_at_ms: float = 0
    has_ended: bool = False
    is_cut: bool = False


@dataclass
class Tables:
    """Sessions with their expiry, shards with their owner, rows. Times are the database's own."""

    judge: Judge
    shard_count: int
    drift: float
    true_ms: float = 0
    sessions: dict[str, float] = field(default_factory=dict)
    shards: list[ShardRow] = field(default_factory=list)
    rows: dict[int, dict[int, Row]] = field(default_factory=dict)
    rows_made: int = 0

    def __post_init__(self) -> None:
        self.shards = [ShardRow(None, 0)] * self.shard_count

    def now_ms(self) -> float:
        """The database's clock."""
        return self.true_ms * (1 + self.drift)

    def run(self, statement: Statement) -> object:
        """Run a statement about ownership."""
        match statement:
            case OpenSession():
                self.sessions[statement.session] = self.now_ms() + limits.LEASE_MS
                return self.observe()
            case RenewSession():
                return self.renew(statement.session)
            case EndSession():
                self.end(statement.session)
            case ClaimShards():
                return self.claim(statement)
            case ReleaseShards():
                self.release(statement)
            case CloseSession():
                self.sessions.pop(statement.session, None)
        return None

    def observe(self) -> Observation:
        now_ms = self.now_ms()
        return Observation(
            {session: at_ms < now_ms for session, at_ms in self.sessions.items()},
            list(self.shards),
        )

    def renew(self, session: str) -> Observation | None:
        if session not in self.sessions:
            return None
        self.judge.session_renewed(session)
        self.sessions[session] = self.now_ms() + limits.LEASE_MS
        return self.observe()

    def end(self, session: str) -> None:
        if self.sessions.get(session, self.now_ms()) < self.now_ms():
            del self.sessions[session]
            self.judge.session_ended(session, self.true_ms)

    def claim(self, statement: ClaimShards) -> Mapping[int, int]:
        if statement.session not in self.sessions:
            return {}
        claimed = [shard for shard, seen in statement.seen.items() if self.may_claim(shard, seen)]
        return {shard: self.move(shard, statement.session) for shard in claimed}

    def may_claim(self, shard: int, seen: ShardRow) -> bool:
        return self.shards[shard] == seen and seen.owner not in self.sessions

    def release(self, statement: ReleaseShards) -> None:
        for shard, version in statement.versions.items():
            if self.may_release(shard, statement.session, version):
                self.move(shard, None)

    def may_release(self, shard: int, session: str, version: int) -> bool:
        return self.shards[shard] == ShardRow(session, version)

    def move(self, shard: int, owner: str | None) -> int:
        version = self.shards[shard].version + 1
        self.shards[shard] = ShardRow(owner, version)
        self.judge.shard_moved()
        return version

    def record(self, session: str, entries: Iterable[Entry]) -> bool:
        """Write results, each only if its row is as its sender saw it; False without a session."""
        if self.is_fenced(session):
            return False
        for entry in entries:
            row = self.rows.get(entry.shard, {}).get(entry.row_id)
            if row is None or row.attempts != entry.attempts:
                continue
            if entry.is_cut and row.due_at_ms == entry.due_at_ms:
                continue
            self.judge.written(session, entry.shard, self.shards[entry.shard].owner)
            row.due_at_ms = entry.due_at_ms
            if not entry.is_cut:
                row.attempts += 1
            if entry.has_ended:
                del self.rows[entry.shard][entry.row_id]
                if not self.rows[entry.shard]:
                    del self.rows[entry.shard]
        return True

    def is_fenced(self, session: str) -> bool:
        return session not in self.sessions

    def insert_row(self, shard: int) -> None:
        """A new delivery."""
        self.rows_made += 1
        self.rows.setdefault(shard, {})[self.rows_made] = Row(self.rows_made, shard)

    def open_rows(self) -> int:
        """How many are unfinished."""
        return sum(map(len, self.rows.values()))

    def owned_by_the_living(self) -> int:
        """How many shards have an owner with a session."""
        return sum(row.owner in self.sessions for row in self.shards)
