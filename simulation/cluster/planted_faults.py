"""Deliberate defects, one at a time. One that is not caught would mean a rule without a test."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from simulation.cluster.checkers import PromiseBroken
from simulation.cluster.plan import Plan
from simulation.cluster.table import Tables
from simulation.cluster.world import play
from tidings.core import limits
from tidings.core.ownership import (
    ClaimShards,
    Observation,
    Ownership,
    RenewSession,
    ShardRow,
    Statement,
)


@dataclass(frozen=True)
class PlantedFault:
    """A defect, and what plants it into a plan."""

    name: str
    seed: int
    """One that shows it, tried first."""
    plant: Callable[[Plan], None]

    def caught(self, seeds: Iterable[int]) -> tuple[int, PromiseBroken] | None:
        """The first of these seeds that shows it, and the promise that it breaks there."""
        for seed in seeds:
            broken = play(seed, self.plant).broken
            if broken is not None:
                return seed, broken
        return None


def _rules(name: str, seed: int, rules: type[Ownership]) -> PlantedFault:
    def plant(plan: Plan) -> None:
        plan.ownership = rules

    return PlantedFault(name, seed, plant)


def _tables(name: str, seed: int, tables: type[Tables]) -> PlantedFault:
    def plant(plan: Plan) -> None:
        plan.tables = tables

    return PlantedFault(name, seed, plant)


class _NoFence(Tables):
    def is_fenced(self, session: str) -> bool:
        return False


class _ClaimWithoutCompare(Tables):
    def may_claim(self, shard: int, seen: ShardRow) -> bool:
        return True


class _ClaimOfTheLiving(Tables):
    def may_claim(self, shard: int, seen: ShardRow) -> bool:
        return self.shards[shard] == seen


class _ReleaseWithoutVersion(Tables):
    def may_release(self, shard: int, session: str, version: int) -> bool:
        return self.shards[shard].owner == session


class _ReleaseWithoutOwner(Tables):
    def may_release(self, shard: int, session: str, version: int) -> bool:
        return True


class _RenewalBringsBack(Tables):
    def renew(self, session: str) -> Observation | None:
        self.sessions.setdefault(session, 0)
        return super().renew(session)


class _EndsTheLiving(Tables):
    def end(self, session: str) -> None:
        if self.sessions.pop(session, None) is not None:
            self.judge.session_ended(session, self.true_ms)


class _LeaseFromTheAnswer(Ownership):
    def _renewed(self, answer: object, now_ms: float) -> None:
        super()._renewed(answer, now_ms)
        if not self.is_over:
            self._lease_until_ms = now_ms + limits.LEASE_MS


class _NoMargin(Ownership):
    def may_send(self, shard: int, now_ms: float) -> bool:
        return super().may_send(shard, now_ms - limits.LEASE_MARGIN_MS)


class _NoLease(Ownership):
    def may_send(self, shard: int, now_ms: float) -> bool:
        return shard in self.owned


class _SendsWhileHandingOver(Ownership):
    def may_send(self, shard: int, now_ms: float) -> bool:
        is_ours = shard in self._versions
        return is_ours and now_ms < self._lease_until_ms - limits.LEASE_MARGIN_MS


class _NoCalmAfterOutages(Ownership):
    def _share(self, seen: Observation, now_ms: float) -> None:
        self._takes_over_from_ms = now_ms
        super()._share(seen, now_ms)


class _ShardsBeforeTheSession(Ownership):
    def _share(self, seen: Observation, now_ms: float) -> None:
        living = {session: False for session, over in seen.sessions.items() if not over}
        super()._share(Observation(living | {self.session: False}, seen.shards), now_ms)


class _NeverEndsSessions(Ownership):
    def _share(self, seen: Observation, now_ms: float) -> None:
        super()._share(seen, now_ms)
        self._expired = []


class _EndsEverybody(Ownership):
    def _share(self, seen: Observation, now_ms: float) -> None:
        super()._share(Observation(dict.fromkeys(seen.sessions, True), seen.shards), now_ms)


class _Greedy(Ownership):
    def _fair_share(self, seen: Observation) -> int:
        return 0 if self._is_leaving else self._shards


class _RoundsUp(Ownership):
    def _fair_share(self, seen: Observation) -> int:
        share = super()._fair_share(seen)
        return share + (self._sent_at_ms % 2 < 1) if share else 0


class _ForgetsUnknownClaims(Ownership):
    def _compare(self, seen: Observation, now_ms: float) -> None:
        known = set(self._versions)
        super()._compare(seen, now_ms)
        gained = set(self._versions) - known
        self._forget(gained)
        self._duties = []


class _TakesUnansweredClaims(Ownership):
    def failed(self, statement: Statement, now_ms: float) -> None:
        if isinstance(statement, ClaimShards):
            self._versions.update({one: row.version + 1 for one, row in statement.seen.items()})
        super().failed(statement, now_ms)


class _RenewsRarely(Ownership):
    def answered(self, statement: Statement, answer: object, now_ms: float) -> None:
        super().answered(statement, answer, now_ms)
        if isinstance(statement, RenewSession):
            self._renew_at_ms += limits.LEASE_MS


class _CutForgetsToCut(Ownership):
    def _cut(self, now_ms: float) -> None:
        self._quiet |= {one for one, at_ms in self._cut_at_ms.items() if at_ms <= now_ms}


def _releases_before_commits(plan: Plan) -> None:
    plan.waits_for_commits = False


def _takes_shards_of_sessions_that_stay(plan: Plan) -> None:
    plan.ownership = _ShardsBeforeTheSession
    plan.tables = _ClaimOfTheLiving


def _ends_sessions_that_are_not_expired(plan: Plan) -> None:
    plan.ownership = _EndsEverybody
    plan.tables = _EndsTheLiving


PLANTED: Final = (
    _tables("results are stored without a look at the session", 2, _NoFence),
    _tables("a claim takes a shard whoever owns it", 0, _ClaimWithoutCompare),
    _tables("a release without its version", 6, _ReleaseWithoutVersion),
    _tables("a release of what is somebody else's", 2, _ReleaseWithoutOwner),
    _tables("a renewal brings back a session that was ended", 3, _RenewalBringsBack),
    _rules("the lease counts from the answer to its renewal", 48, _LeaseFromTheAnswer),
    _rules("no margin before the end of a lease", 35, _NoMargin),
    _rules("a paused worker goes on without a look at its lease", 2, _NoLease),
    _rules("sends while a shard is handed over", 0, _SendsWhileHandingOver),
    _rules("sessions are ended right after an outage", 0, _NoCalmAfterOutages),
    _rules("expired sessions are never ended", 0, _NeverEndsSessions),
    _rules("everybody wants every shard", 0, _Greedy),
    _rules("shares that never settle", 0, _RoundsUp),
    _rules("a claim without an answer is forgotten", 3, _ForgetsUnknownClaims),
    _rules("a claim without an answer counts as granted", 5, _TakesUnansweredClaims),
    _rules("renewals come too late", 0, _RenewsRarely),
    _rules("requests in flight are left behind without a due time", 0, _CutForgetsToCut),
    PlantedFault(
        "shards are taken from a session that stays", 2, _takes_shards_of_sessions_that_stay
    ),
    PlantedFault("sessions are ended before they expire", 0, _ends_sessions_that_are_not_expired),
    PlantedFault(
        "a shard is released before its last result is stored", 0, _releases_before_commits
    ),
)
