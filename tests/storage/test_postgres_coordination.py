"""Sessions and shards on a real PostgreSQL, by the side of the tables of the simulated cluster."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Barrier

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulation.cluster.checkers import Judge
from simulation.cluster.table import Tables
from tests.support.postgres_sessions import begun, eventually, process_of, waits
from tidings.core import limits
from tidings.core.ownership import (
    ClaimShards,
    CloseSession,
    EndSession,
    Observation,
    OpenSession,
    Ownership,
    ReleaseShards,
    RenewSession,
    ShardRow,
    Statement,
)
from tidings.ports.store import StoreUnavailable
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.coordination import (
    coordinate,
    coordination_connection,
    has_session,
    list_silences,
)

SESSIONS = ("a", "b", "c")
FREE = ShardRow(None, 0)


@contextmanager
def connected(url: str, count: int) -> Iterator[list[PostgresConnection]]:
    # With time enough: how long a statement may take is not what is tried by these.
    several = [
        PostgresConnection(url, statement_ms=30_000, lock_ms=30_000, idle_ms=60_000)
        for _ in range(count)
    ]
    try:
        yield several
    finally:
        for db in several:
            db.close()


@pytest.fixture
def watcher(postgres_url: str) -> Iterator[PostgresConnection]:
    with connected(postgres_url, 1) as (db,):
        yield db


def observed(db: PostgresConnection, session: str) -> Observation:
    seen = coordinate(db, RenewSession(session))
    assert isinstance(seen, Observation)
    return seen


def expire(db: PostgresConnection, session: str) -> None:
    sql = "UPDATE worker SET expires_at = clock_timestamp() - interval '1 s' WHERE session = ?"
    db.execute(sql, (session,))


def test_a_session_that_is_opened_sees_itself_and_every_shard(postgres: PostgresConnection) -> None:
    seen = coordinate(postgres, OpenSession("a"))
    assert seen == Observation({"a": False}, [FREE] * limits.SHARDS)


def test_a_session_is_never_opened_twice(postgres: PostgresConnection) -> None:
    coordinate(postgres, OpenSession("a"))
    with pytest.raises(asyncpg.UniqueViolationError):
        coordinate(postgres, OpenSession("a"))


def test_a_lease_lasts_as_long_as_the_rules_say(postgres: PostgresConnection) -> None:
    coordinate(postgres, OpenSession("a"))
    for _ in range(2):
        left = postgres.execute(
            "SELECT extract(epoch FROM expires_at - clock_timestamp())::float FROM worker"
        ).fetchone()[0]
        assert 0 < left * 1_000 <= limits.LEASE_MS
        expire(postgres, "a")
        assert coordinate(postgres, RenewSession("a")) is not None


def test_an_expired_session_is_seen_renewed_or_ended(postgres: PostgresConnection) -> None:
    for session in ("a", "b"):
        coordinate(postgres, OpenSession(session))
    coordinate(postgres, EndSession("b"))
    assert observed(postgres, "a").sessions == {"a": False, "b": False}
    expire(postgres, "b")
    assert observed(postgres, "a").sessions == {"a": False, "b": True}
    assert observed(postgres, "b").sessions == {"a": False, "b": False}
    expire(postgres, "b")
    coordinate(postgres, EndSession("b"))
    assert coordinate(postgres, RenewSession("b")) is None
    assert observed(postgres, "a").sessions == {"a": False}


def test_a_shard_is_claimed_only_as_it_was_seen(postgres: PostgresConnection) -> None:
    for session in ("a", "b"):
        coordinate(postgres, OpenSession(session))
    seen = {3: FREE, 5: FREE, 7: ShardRow(None, 1), 9: ShardRow("x", 0)}
    assert coordinate(postgres, ClaimShards("a", seen)) == {3: 1, 5: 1}
    # Somebody's who is there, as it is and as it was.
    for row in (ShardRow("a", 1), FREE):
        assert coordinate(postgres, ClaimShards("b", {3: row})) == {}
    coordinate(postgres, CloseSession("a"))
    assert coordinate(postgres, ClaimShards("b", {3: ShardRow("a", 1), 5: FREE})) == {3: 2}
    assert coordinate(postgres, ClaimShards("nobody", {8: FREE})) == {}
    shards = observed(postgres, "b").shards
    assert {shard: row for shard, row in enumerate(shards) if row != FREE} == {
        3: ShardRow("b", 2),
        5: ShardRow("a", 1),
    }


def test_a_shard_is_released_only_as_it_is_owned(postgres: PostgresConnection) -> None:
    for session in ("a", "b"):
        coordinate(postgres, OpenSession(session))
    coordinate(postgres, ClaimShards("a", dict.fromkeys((1, 2, 3), FREE)))
    coordinate(postgres, ReleaseShards("b", {1: 1}))
    coordinate(postgres, ReleaseShards("a", {1: 1, 2: 0}))
    coordinate(postgres, ReleaseShards("a", {}))
    shards = observed(postgres, "a").shards
    assert shards[1:4] == [ShardRow(None, 2), ShardRow("a", 1), ShardRow("a", 1)]


def test_the_silence_of_a_lost_owner_outlasts_whoever_took_its_shard(
    postgres: PostgresConnection,
) -> None:
    for session in ("lost", "heir", "last"):
        coordinate(postgres, OpenSession(session))
    coordinate(postgres, ClaimShards("lost", {3: FREE}))
    coordinate(postgres, ClaimShards("heir", {5: FREE}))
    assert list_silences(postgres, {3, 5}) == {}
    coordinate(postgres, CloseSession("lost"))
    coordinate(postgres, ClaimShards("heir", {3: ShardRow("lost", 1)}))
    coordinate(postgres, ReleaseShards("heir", {3: 2, 5: 1}))
    free = {3: ShardRow(None, 3), 5: ShardRow(None, 2)}
    assert coordinate(postgres, ClaimShards("last", free)) == {3: 4, 5: 3}
    silences = list_silences(postgres, {3, 5})
    assert set(silences) == {3}
    assert 0 < silences[3] <= limits.LOST_OWNER_SILENCE_MS
    assert list_silences(postgres, {5}) == {}
    postgres.execute("UPDATE shard SET silent_until = clock_timestamp()", ())
    assert list_silences(postgres, {3}) == {}


def test_workers_that_want_the_same_shards_share_them_out(postgres_url: str) -> None:
    with connected(postgres_url, 3) as several:
        for session, db in zip(SESSIONS, several, strict=True):
            coordinate(db, OpenSession(session))
        for turn in range(10):
            rows = observed(several[0], "a").shards
            barrier = Barrier(3)

            def claim(number: int) -> object:
                # Each begins at another end of them.
                wanted = list(enumerate(rows))[:: (-1, 1)[number % 2]]  # noqa: B023
                barrier.wait(timeout=30)  # noqa: B023
                return coordinate(several[number], ClaimShards(SESSIONS[number], dict(wanted)))

            with ThreadPoolExecutor(3) as threads:
                claimed = [*threads.map(claim, range(3))]
            owned = {
                session: versions
                for session, versions in zip(SESSIONS, claimed, strict=True)
                if isinstance(versions, Mapping)
            }
            assert sorted(shard for one in owned.values() for shard in one) == [*range(256)]
            shards = observed(several[0], "a").shards
            for session, versions in owned.items():
                for shard, version in versions.items():
                    assert shards[shard] == ShardRow(session, version), turn
                coordinate(several[0], ReleaseShards(session, versions))


def test_who_is_writing_is_ended_only_after_the_commit(
    postgres: PostgresConnection, postgres_url: str, watcher: PostgresConnection
) -> None:
    with connected(postgres_url, 1) as (other,):
        coordinate(postgres, OpenSession("a"))
        process = process_of(other)
        expire(postgres, "a")
        postgres.begin()
        assert has_session(postgres, "a")
        ending = begun(lambda: coordinate(other, EndSession("a")))
        eventually(lambda: waits(watcher, process))
        postgres.commit()
        ending.result()
    postgres.begin()
    assert not has_session(postgres, "a")
    postgres.rollback()


def test_who_renews_in_time_is_not_ended_by_whoever_saw_it_expired(
    postgres: PostgresConnection, postgres_url: str, watcher: PostgresConnection
) -> None:
    with connected(postgres_url, 1) as (other,):
        coordinate(postgres, OpenSession("a"))
        process = process_of(other)
        expire(postgres, "a")
        postgres.begin()
        postgres.execute(
            "UPDATE worker SET expires_at = clock_timestamp() + interval '1 h' WHERE session = 'a'"
        )
        ending = begun(lambda: coordinate(other, EndSession("a")))
        eventually(lambda: waits(watcher, process))
        postgres.commit()
        ending.result()
    assert observed(postgres, "a").sessions == {"a": False}


def test_renewing_does_not_wait_for_who_writes_and_the_other_way_round(
    postgres: PostgresConnection, watcher: PostgresConnection
) -> None:
    coordinate(postgres, OpenSession("a"))
    postgres.begin()
    assert has_session(postgres, "a")
    assert coordinate(watcher, RenewSession("a")) is not None
    postgres.execute("UPDATE worker SET expires_at = expires_at WHERE session = 'a'")
    watcher.begin()
    assert has_session(watcher, "a")
    watcher.rollback()
    postgres.rollback()


def test_a_statement_that_cannot_be_carried_out_in_time_fails(
    postgres: PostgresConnection, postgres_url: str
) -> None:
    coordinate(postgres, OpenSession("a"))
    with closing(coordination_connection(postgres_url)) as db:
        postgres.begin("BEGIN; LOCK TABLE shard")
        with pytest.raises(StoreUnavailable):
            coordinate(db, ClaimShards("a", {1: FREE}))
        postgres.rollback()
    assert coordinate(postgres, ClaimShards("a", {1: FREE})) == {1: 1}


def test_two_workers_come_to_own_every_shard(postgres: PostgresConnection) -> None:
    now_ms = 0.0
    workers = [Ownership("a", now_ms=now_ms), Ownership("b", now_ms=now_ms)]
    for _ in range(400):
        now_ms += 50
        for worker in workers:
            for command in worker.take_commands(now_ms):
                if isinstance(command, Statement):
                    worker.answered(command, coordinate(postgres, command), now_ms)
            for shard in range(limits.SHARDS):
                worker.quiet(shard)
    first, second = (worker.owned for worker in workers)
    assert len(first) == len(second) == limits.SHARDS // 2
    assert sorted(first + second) == [*range(limits.SHARDS)]


class NoJudge(Judge):
    """Judges nothing: the steps here are not those of a worker that keeps the rules."""

    def session_renewed(self, session: str) -> None: ...

    def session_ended(self, session: str, now_ms: float) -> None: ...

    def shard_moved(self) -> None: ...


SHARDS = st.integers(0, 3)
SEEN = st.dictionaries(
    SHARDS,
    st.builds(ShardRow, st.none() | st.sampled_from(SESSIONS), st.integers(0, 3)) | st.none(),
    max_size=4,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.sampled_from(SESSIONS)),
        st.tuples(st.just("renew"), st.sampled_from(SESSIONS)),
        st.tuples(st.just("expire"), st.sampled_from(SESSIONS)),
        st.tuples(st.just("end"), st.sampled_from(SESSIONS)),
        st.tuples(st.just("close"), st.sampled_from(SESSIONS)),
        st.tuples(st.just("claim"), st.sampled_from(SESSIONS), SEEN),
        st.tuples(st.just("release"), st.sampled_from(SESSIONS), SEEN),
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_the_database_and_the_simulated_tables_answer_alike(
    postgres: PostgresConnection, steps: list[tuple[object, ...]]
) -> None:
    postgres.run_script("DELETE FROM worker; UPDATE shard SET owner = NULL, version = 0")
    model = Tables(NoJudge(), limits.SHARDS, drift=0)
    for step in steps:
        model.true_ms += 1
        session = str(step[1])
        if step[0] == "expire":
            expire(postgres, session)
            if session in model.sessions:
                model.sessions[session] = 0
            continue
        statement = a_statement(step, model)
        if not isinstance(statement, OpenSession) or session not in model.sessions:
            assert coordinate(postgres, statement) == model.run(statement), step


def a_statement(step: tuple[object, ...], model: Tables) -> Statement:
    """The statement of a step; where none is drawn, a shard is seen as it is."""
    kind, session = step[0], str(step[1])
    seen: dict[int, ShardRow] = {}
    if len(step) > 2 and isinstance(step[2], dict):
        seen = {shard: row or model.shards[shard] for shard, row in step[2].items()}
    match kind:
        case "open":
            return OpenSession(session)
        case "renew":
            return RenewSession(session)
        case "end":
            return EndSession(session)
        case "close":
            return CloseSession(session)
        case "claim":
            return ClaimShards(session, seen)
    return ReleaseShards(session, {shard: row.version for shard, row in seen.items()})
