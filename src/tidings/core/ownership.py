"""Which shards of all subscriptions are this worker's: inputs in, commands out, no I/O, no clock.

Workers share a database. Each has a session there with a lease, and each shard names the session
that owns it:

    not ours ──claimed──▶ ours ──too many, or leaving──▶ handed over ──quiet──▶ released
                           │ lease nearly over: nothing is started until it is renewed
                           ▼ session gone: all is dropped, at once

Five rules make that safe. A lease counts from before its renewal was sent. Nothing starts in its
last moments, so that clocks may differ a little. An expired session is deleted before its shards
are taken, and whoever writes must have a session: a paused owner can write nothing any more. A
shard is claimed and released only as it was seen. And it is released only when the last result of
its owner is known to be stored.

And one makes it calm: after the database was away, and at the start, nobody's session is ended for
as long as a lease lasts, because all of them look expired then.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from zlib import crc32

import msgspec

from tidings.core import limits


def shard_of(subscription_id: str) -> int:
    """The shard of a subscription: the same in every process, for ever."""
    return crc32(subscription_id.encode()) % limits.SHARDS


class ShardRow(msgspec.Struct, frozen=True, gc=False):
    """A shard as the database has it. `version` rises with every change of its owner."""

    owner: str | None
    version: int


class Observation(msgspec.Struct, frozen=True):
    """What one statement saw: all sessions and whether they are expired, and all shards."""

    sessions: Mapping[str, bool]
    shards: Sequence[ShardRow]


class OpenSession(msgspec.Struct, frozen=True):
    """Insert the session with a full lease; answer an `Observation`. It is never tried twice."""

    session: str


class RenewSession(msgspec.Struct, frozen=True):
    """Renew the lease if the session is there, expired or not; answer an `Observation` or None."""

    session: str


class EndSession(msgspec.Struct, frozen=True):
    """Delete somebody's session if it is expired by the database's clock; answer nothing."""

    session: str


class ClaimShards(msgspec.Struct, frozen=True):
    """Own those of these shards that are still as they were seen; answer their new versions.

    The session must be there, in the same transaction, and no session of the owner that was seen.
    Such an owner was lost: from now on the shard is silent for `LOST_OWNER_SILENCE_MS`.
    """

    session: str
    seen: Mapping[int, ShardRow]


class ReleaseShards(msgspec.Struct, frozen=True):
    """Give up those of these shards that still have this version and owner; answer nothing."""

    session: str
    versions: Mapping[int, int]


class CloseSession(msgspec.Struct, frozen=True):
    """Delete our own session, which owns nothing any more; answer nothing."""

    session: str


Statement = OpenSession | RenewSession | EndSession | ClaimShards | ReleaseShards | CloseSession


class BeginShards(msgspec.Struct, frozen=True):
    """Read the rows of these shards and send.

    Ordered lanes wait for what lost owners may have on their way. The table remembers for how long,
    because this owner may hand the shard on meanwhile.
    """

    shards: Sequence[int]
    are_from_lost_owner: bool


class HandOverShards(msgspec.Struct, frozen=True):
    """Start nothing more for these; tell `Ownership.quiet` of each when all results are stored."""

    shards: Sequence[int]


class CutShards(msgspec.Struct, frozen=True):
    """Wait no longer for answers: store a due time at each request's deadline, then be quiet."""

    shards: Sequence[int]


class DropShards(msgspec.Struct, frozen=True):
    """Forget these at once: they are somebody else's, and nothing may be stored for them."""

    shards: Sequence[int]


Duty = BeginShards | HandOverShards | CutShards | DropShards
Command = Statement | Duty


class Ownership:
    """The shards of one session. When it `is_over`, begin anew with a session id never used before.

    Times are milliseconds of a clock of this machine that never steps and also counts sleep.
    """

    def __init__(self, session: str, *, now_ms: float, shards: int = limits.SHARDS) -> None:
        self.session = session
        self.is_over = False
        self._shards = shards
        self._versions: dict[int, int] = {}
        self._cut_at_ms: dict[int, float] = {}
        self._quiet: set[int] = set()
        self._lease_until_ms = -inf
        self._renew_at_ms = now_ms
        self._takes_over_from_ms = inf
        self._answered_at_ms = -inf
        self._is_known = False
        self._is_in_doubt = False
        self._is_leaving = False
        self._sent: Statement | None = None
        self._sent_at_ms = now_ms
        self._expired: list[str] = []
        self._claim: dict[int, ShardRow] = {}
        self._duties: list[Duty] = []

    # What others may ask.

    def may_send(self, shard: int, now_ms: float) -> bool:
        """Whether a request for this shard may start now."""
        return (
            shard in self._versions
            and shard not in self._cut_at_ms
            and now_ms < self.sends_until_ms
        )

    @property
    def sends_until_ms(self) -> float:
        """Until when requests may start, unless the lease is renewed before."""
        return self._lease_until_ms - limits.LEASE_MARGIN_MS

    @property
    def lease_began_ms(self) -> float:
        """When the renewal was sent that the lease counts from."""
        return self._lease_until_ms - limits.LEASE_MS

    @property
    def owned(self) -> list[int]:
        """The shards that are ours and not being handed over."""
        return [shard for shard in self._versions if shard not in self._cut_at_ms]

    def next_wake_ms(self) -> float:
        """When `take_commands` will have something, if no input comes before."""
        cuts = [at for shard, at in self._cut_at_ms.items() if shard not in self._quiet]
        if self._sent is not None:
            return min([self._sent_at_ms + limits.COORDINATION_TIMEOUT_MS, *cuts])
        return min([self._renew_at_ms, *cuts])

    # Inputs.

    def leave(self, now_ms: float) -> None:
        """Hand everything over and close the session; `is_over` tells when that is done."""
        self._is_leaving = True
        self._claim = {}
        self._expired = []
        self._hand_over(self.owned, now_ms)
        if self._sent is None and not self._is_known:
            self.is_over = True

    def quiet(self, shard: int) -> None:
        """A shard that is handed over has nothing under way, and all its results are stored."""
        if shard in self._cut_at_ms:
            self._quiet.add(shard)

    def fenced(self) -> None:
        """Something could not be written because the session is gone."""
        self._lose()

    def answered(self, statement: Statement, answer: object, now_ms: float) -> None:
        """A statement took effect and was answered."""
        if self.is_over or statement is not self._sent:
            return
        self._sent = None
        match statement:
            case OpenSession() | RenewSession():
                self._renewed(answer, now_ms)
            case EndSession():
                self._renew_at_ms = now_ms
            case ClaimShards():
                assert isinstance(answer, Mapping)
                self._claimed(statement, answer, now_ms)
            case ReleaseShards():
                self._forget(statement.versions)
            case CloseSession():
                self.is_over = True

    def failed(self, statement: Statement, now_ms: float) -> None:
        """A statement failed or got no answer in time; it may take effect even so, or later."""
        if self.is_over or statement is not self._sent:
            return
        self._sent = None
        if isinstance(statement, OpenSession):
            # It may take effect at any later time, when this session must not come back.
            self.is_over = True
        # What else it may have changed is seen at the next renewal, before which nothing is asked.
        self._is_in_doubt = True
        self._expired = []
        self._claim = {}
        self._renew_at_ms = now_ms + limits.COORDINATION_RETRY_MS

    # Outputs.

    def take_commands(self, now_ms: float) -> list[Command]:
        """What is to be done now: at most one statement at a time, and duties of the engine."""
        if self._sent is not None and now_ms >= self._sent_at_ms + limits.COORDINATION_TIMEOUT_MS:
            self.failed(self._sent, now_ms)
        self._cut(now_ms)
        commands: list[Command] = [*self._duties]
        self._duties = []
        if self._sent is None and not self.is_over:
            self._sent = self._next_statement(now_ms)
            if self._sent is not None:
                self._sent_at_ms = now_ms
                commands.append(self._sent)
        return commands

    def _next_statement(self, now_ms: float) -> Statement | None:
        if now_ms >= self._renew_at_ms:
            made = RenewSession if self._is_known else OpenSession
            return made(self.session)
        if self._is_in_doubt:
            return None
        if self._quiet:
            return ReleaseShards(
                self.session, {shard: self._versions[shard] for shard in sorted(self._quiet)}
            )
        return self._next_taking()

    def _next_taking(self) -> Statement | None:
        if self._expired:
            return EndSession(self._expired.pop())
        if self._claim:
            seen, self._claim = self._claim, {}
            return ClaimShards(self.session, seen)
        if self._is_leaving and not self._versions and self._is_known:
            return CloseSession(self.session)
        return None

    # What answers mean.

    def _renewed(self, answer: object, now_ms: float) -> None:
        if answer is None:
            self._lose()
            return
        assert isinstance(answer, Observation)
        self._is_known = True
        self._is_in_doubt = False
        self._lease_until_ms = self._sent_at_ms + limits.LEASE_MS
        self._renew_at_ms = self._sent_at_ms + limits.LEASE_RENEW_MS
        if now_ms - self._answered_at_ms > limits.COORDINATION_OUTAGE_MS:
            self._takes_over_from_ms = now_ms + limits.LEASE_MS
        self._answered_at_ms = now_ms
        self._compare(answer, now_ms)
        self._share(answer, now_ms)

    def _compare(self, seen: Observation, now_ms: float) -> None:
        """Take in what an unanswered statement of ours has done after all."""
        gained, lost = [], []
        for shard, row in enumerate(seen.shards):
            if row.owner == self.session and shard not in self._versions:
                self._versions[shard] = row.version
                gained.append(shard)
            elif row.owner != self.session and shard in self._versions:
                lost.append(shard)
        released = [shard for shard in lost if shard in self._quiet]
        self._forget(lost)
        if dropped := [shard for shard in lost if shard not in released]:
            self._duties.append(DropShards(dropped))
        if gained:
            self._begin(gained, now_ms, are_from_lost_owner=True)

    def _share(self, seen: Observation, now_ms: float) -> None:
        """Decide what to give away, whom to end, and what to claim."""
        owned = self.owned
        surplus = len(owned) - self._fair_share(seen)
        if surplus > 0:
            self._hand_over(sorted(owned)[-surplus:], now_ms)
        if now_ms >= self._takes_over_from_ms:
            self._expired = sorted(
                session
                for session, is_expired in seen.sessions.items()
                if is_expired and session != self.session
            )
        free = [shard for shard, row in enumerate(seen.shards) if row.owner not in seen.sessions]
        if surplus < 0 and free:
            # Everybody begins elsewhere, so that few want the same.
            first = self._rank(seen) * len(free) // len(seen.sessions)
            wanted = (free[first:] + free[:first])[:-surplus]
            self._claim = {shard: seen.shards[shard] for shard in wanted}

    def _fair_share(self, seen: Observation) -> int:
        """How many shards are ours, so that all sessions together have every one exactly once.

        Expired sessions count until somebody has ended them.
        """
        if self._is_leaving:
            return 0
        share, rest = divmod(self._shards, len(seen.sessions))
        return share + (self._rank(seen) < rest)

    def _rank(self, seen: Observation) -> int:
        return sorted(seen.sessions).index(self.session)

    def _claimed(self, statement: ClaimShards, versions: Mapping[int, int], now_ms: float) -> None:
        self._versions.update(versions)
        if len(versions) < len(statement.seen):
            # Somebody else was quicker: look again at what is left.
            self._renew_at_ms = now_ms
        for is_lost in (False, True):
            shards = [one for one in versions if (statement.seen[one].owner is not None) == is_lost]
            if shards:
                self._begin(shards, now_ms, are_from_lost_owner=is_lost)

    # What follows for the engine.

    def _begin(self, shards: Sequence[int], now_ms: float, *, are_from_lost_owner: bool) -> None:
        self._duties.append(BeginShards(shards, are_from_lost_owner))
        if self._is_leaving:
            self._hand_over(shards, now_ms)

    def _hand_over(self, shards: Sequence[int], now_ms: float) -> None:
        self._cut_at_ms.update(dict.fromkeys(shards, now_ms + limits.HAND_OVER_MS))
        if shards:
            self._duties.append(HandOverShards(shards))

    def _cut(self, now_ms: float) -> None:
        """End the wait for answers where it has lasted long enough."""
        over = [
            shard
            for shard, at_ms in self._cut_at_ms.items()
            if at_ms <= now_ms and shard not in self._quiet
        ]
        if over:
            self._duties.append(CutShards(over))
            self._cut_at_ms.update(dict.fromkeys(over, inf))

    def _forget(self, shards: Iterable[int]) -> None:
        for shard in list(shards):
            self._versions.pop(shard, None)
            self._cut_at_ms.pop(shard, None)
            self._quiet.discard(shard)

    def _lose(self) -> None:
        """The session is gone: whatever is still under way is nobody's business of ours."""
        if not self.is_over:
            self.is_over = True
            self._duties.append(DropShards(sorted(self._versions)))
            self._forget(self._versions)
            self._lease_until_ms = -inf
