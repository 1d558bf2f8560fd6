"""Who owns which shard: leases, claims, hand-overs, and what is done when nothing is certain."""

from typing import Any

import pytest

from tidings.core import limits
from tidings.core.ownership import (
    BeginShards,
    ClaimShards,
    CloseSession,
    Command,
    CutShards,
    DropShards,
    EndSession,
    HandOverShards,
    Observation,
    OpenSession,
    Ownership,
    ReleaseShards,
    RenewSession,
    ShardRow,
    shard_of,
)

ME, OTHER, THIRD = "m", "o", "t"
SHARDS = 6
FREE = ShardRow(None, 0)


def seen(*sessions: str, owners: str = "......", expired: str = "") -> Observation:
    """What is observed: sessions, and a letter for the owner of each shard; '.' is nobody."""
    rows = [ShardRow(None if one == "." else one, 1) for one in owners]
    return Observation({one: one in expired for one in sessions}, rows)


def one_statement(commands: list[Command]) -> Any:
    (found,) = [one for one in commands if type(one).__name__.endswith(("Session", "Shards"))]
    return found


class Table:
    """Ownership under test, with its time, answered as a test says."""

    def __init__(self, *, now_ms: float = 0) -> None:
        self.now_ms = now_ms
        self.rules = Ownership(ME, now_ms=now_ms, shards=SHARDS)

    def commands(self, *, after_ms: float = 0) -> list[Command]:
        self.now_ms += after_ms
        return self.rules.take_commands(self.now_ms)

    def answer(self, statement: Any, answer: object = None, *, after_ms: float = 0) -> None:
        self.now_ms += after_ms
        self.rules.answered(statement, answer, self.now_ms)

    def opened(self, observation: Observation) -> "Table":
        (statement,) = self.commands()
        assert statement == OpenSession(ME)
        self.answer(statement, observation)
        return self

    def renewed(self, observation: Observation | None) -> None:
        (statement,) = self.commands(after_ms=self.rules.next_wake_ms() - self.now_ms)
        assert statement == RenewSession(ME)
        self.answer(statement, observation)

    def claimed_all(self) -> "Table":
        self.opened(seen(ME))
        (statement,) = self.commands()
        assert isinstance(statement, ClaimShards)
        self.answer(statement, dict.fromkeys(statement.seen, 2))
        (duty,) = self.commands()
        assert duty == BeginShards(list(range(SHARDS)), are_from_lost_owner=False)
        return self

    def sends(self) -> list[int]:
        return [one for one in range(SHARDS) if self.rules.may_send(one, self.now_ms)]


def test_a_shard_of_a_subscription_is_the_same_for_ever() -> None:
    assert shard_of("sub_01k6abc") == 33
    assert {shard_of(f"sub_{number}") for number in range(5_000)} == set(range(limits.SHARDS))


def test_a_lonely_worker_claims_everything_and_sends() -> None:
    table = Table().claimed_all()
    assert table.sends() == list(range(SHARDS))
    assert table.rules.next_wake_ms() == limits.LEASE_RENEW_MS


def test_a_lease_counts_from_before_its_renewal_was_sent_and_ends_a_margin_early() -> None:
    table = Table().claimed_all()
    (statement,) = table.commands(after_ms=limits.LEASE_RENEW_MS)
    table.answer(statement, seen(ME, owners="mmmmmm"), after_ms=1_500)
    ends_ms = limits.LEASE_RENEW_MS + limits.LEASE_MS - limits.LEASE_MARGIN_MS
    table.now_ms = ends_ms - 1
    assert table.sends() == list(range(SHARDS))
    table.now_ms = ends_ms
    assert table.sends() == []


@pytest.mark.parametrize(
    ("sessions", "owners", "claims"),
    [
        ((ME, OTHER), "......", 3),
        ((ME, OTHER), "ooo...", 3),
        ((ME, OTHER), "oooo..", 2),
        ((ME, OTHER, THIRD), "oo..tt", 2),
        ((ME, OTHER), "xxxooo", 3),
    ],
)
def test_a_fair_share_is_claimed_of_what_has_no_living_owner(
    sessions: tuple[str, ...], owners: str, claims: int
) -> None:
    table = Table().opened(seen(*sessions, owners=owners))
    (statement,) = table.commands()
    assert isinstance(statement, ClaimShards)
    assert len(statement.seen) == claims
    assert all(owners[shard] in ".x" for shard in statement.seen)


def test_shares_together_are_all_shards_and_differ_by_one_at_most() -> None:
    sessions = ["a", "b", "c", "d"]
    counts = []
    for session in sessions:
        rules = Ownership(session, now_ms=0, shards=SHARDS)
        (statement,) = rules.take_commands(0)
        assert isinstance(statement, OpenSession)
        rules.answered(statement, seen(*sessions), 0)
        (claim,) = rules.take_commands(0)
        assert isinstance(claim, ClaimShards)
        counts.append(len(claim.seen))
    assert sorted(counts) == [1, 1, 2, 2]


def test_shards_of_a_lost_owner_begin_with_a_warning() -> None:
    table = Table().opened(seen(ME, owners="x....."))
    (statement,) = table.commands()
    table.answer(statement, dict.fromkeys(range(SHARDS), 2))
    assert table.commands() == [
        BeginShards([1, 2, 3, 4, 5], are_from_lost_owner=False),
        BeginShards([0], are_from_lost_owner=True),
    ]


def test_whoever_was_slower_looks_again() -> None:
    table = Table().opened(seen(ME))
    (statement,) = table.commands()
    table.answer(statement, {0: 2, 1: 2})
    assert [type(one) for one in table.commands()] == [BeginShards, RenewSession]
    assert table.rules.owned == [0, 1]


def test_a_newcomer_gets_its_share_only_after_the_last_result_is_stored() -> None:
    table = Table().claimed_all()
    table.renewed(seen(ME, OTHER, owners="mmmmmm"))
    (duty,) = table.commands()
    assert duty == HandOverShards([3, 4, 5])
    assert table.sends() == [0, 1, 2]
    table.rules.quiet(4)
    (statement,) = table.commands()
    assert statement == ReleaseShards(ME, {4: 2})
    table.answer(statement)
    assert table.commands(after_ms=1_900) == []


def test_requests_that_hang_are_cut_after_a_while_and_only_once() -> None:
    table = Table().claimed_all()
    table.renewed(seen(ME, OTHER, owners="mmmmmm"))
    table.commands()
    table.rules.quiet(3)
    (statement,) = table.commands()
    table.answer(statement)
    cut, renewal = table.commands(after_ms=limits.HAND_OVER_MS)
    assert cut == CutShards([4, 5])
    table.answer(renewal, seen(ME, OTHER, owners="mmm.mm"))
    assert table.commands(after_ms=500) == []
    table.rules.quiet(4)
    table.rules.quiet(5)
    assert table.commands() == [ReleaseShards(ME, {4: 2, 5: 2})]


def test_a_release_without_an_answer_is_repeated_until_it_is_known() -> None:
    table = Table().claimed_all()
    table.renewed(seen(ME, OTHER, owners="mmmmmm"))
    table.commands()
    table.rules.quiet(5)
    (statement,) = table.commands()
    assert isinstance(statement, ReleaseShards)
    table.commands(after_ms=limits.COORDINATION_TIMEOUT_MS)
    (renewal,) = table.commands(after_ms=limits.COORDINATION_RETRY_MS)
    table.answer(renewal, seen(ME, OTHER, owners="mmmmmm"))
    assert statement in table.commands()


def test_a_release_that_took_effect_without_an_answer_is_seen() -> None:
    table = Table().claimed_all()
    table.renewed(seen(ME, OTHER, owners="mmmmmm"))
    table.commands()
    table.rules.quiet(5)
    table.commands()
    table.commands(after_ms=limits.COORDINATION_TIMEOUT_MS)
    (renewal,) = table.commands(after_ms=limits.COORDINATION_RETRY_MS)
    table.answer(renewal, seen(ME, OTHER, owners="mmmmm."))
    assert table.commands() == []


def test_a_claim_that_took_effect_without_an_answer_is_taken_up() -> None:
    table = Table().opened(seen(ME))
    table.commands()
    table.commands(after_ms=limits.COORDINATION_TIMEOUT_MS)
    assert table.sends() == []
    (renewal,) = table.commands(after_ms=limits.COORDINATION_RETRY_MS)
    table.answer(renewal, seen(ME, owners="mmmmmm"))
    assert table.commands() == [BeginShards(list(range(SHARDS)), are_from_lost_owner=True)]
    assert table.sends() == list(range(SHARDS))


def test_an_answer_that_comes_too_late_counts_for_nothing() -> None:
    table = Table().opened(seen(ME))
    (statement,) = table.commands()
    table.commands(after_ms=limits.COORDINATION_TIMEOUT_MS)
    table.answer(statement, dict.fromkeys(range(SHARDS), 2))
    assert table.rules.owned == []


def test_a_session_that_may_still_be_opened_is_given_up() -> None:
    table = Table()
    table.commands()
    table.commands(after_ms=limits.COORDINATION_TIMEOUT_MS)
    assert table.rules.is_over


@pytest.mark.parametrize("how", ["renewal", "fence"])
def test_without_its_session_a_worker_drops_everything(how: str) -> None:
    table = Table().claimed_all()
    if how == "fence":
        table.rules.fenced()
    else:
        table.renewed(None)
    assert table.rules.is_over
    assert table.sends() == []
    assert table.commands() == [DropShards(list(range(SHARDS)))]


def test_nobody_is_ended_at_the_start_nor_after_an_outage_for_as_long_as_a_lease() -> None:
    table = Table().opened(seen(ME, OTHER, owners="oooooo", expired=OTHER))
    for _ in range(limits.LEASE_MS // limits.LEASE_RENEW_MS - 1):
        table.renewed(seen(ME, OTHER, owners="oooooo", expired=OTHER))
        assert table.commands() == []
    table.renewed(seen(ME, OTHER, owners="oooooo", expired=OTHER))
    assert table.commands() == [EndSession(OTHER)]
    table.commands(after_ms=limits.COORDINATION_OUTAGE_MS)
    (renewal,) = table.commands(after_ms=limits.COORDINATION_RETRY_MS)
    table.answer(renewal, seen(ME, OTHER, owners="oooooo", expired=OTHER))
    assert table.commands() == []


def test_after_an_end_a_worker_looks_at_once_what_there_is_to_claim() -> None:
    table = Table().opened(seen(ME, OTHER, owners="oooooo"))
    for _ in range(limits.LEASE_MS // limits.LEASE_RENEW_MS):
        table.renewed(seen(ME, OTHER, owners="oooooo", expired=OTHER))
    (statement,) = table.commands()
    table.answer(statement)
    (renewal,) = table.commands()
    table.answer(renewal, seen(ME, owners="oooooo"))
    assert isinstance(one_statement(table.commands()), ClaimShards)


def test_a_worker_that_leaves_hands_everything_over_and_then_closes_its_session() -> None:
    table = Table().claimed_all()
    table.rules.leave(table.now_ms)
    assert table.commands() == [HandOverShards(list(range(SHARDS)))]
    for shard in range(SHARDS):
        table.rules.quiet(shard)
    (statement,) = table.commands()
    table.answer(statement)
    (statement,) = table.commands()
    assert statement == CloseSession(ME)
    table.answer(statement)
    assert table.rules.is_over


def test_a_worker_that_never_began_may_leave_at_once() -> None:
    table = Table()
    table.rules.leave(0)
    assert table.rules.is_over
    assert table.commands() == []
