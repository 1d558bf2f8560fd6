"""The shards that the scheduler works on, where several workers share the table.

    not ours ──begin──▶ ours ──hand over──▶ only requests in flight and their results ──▶ quiet
                         │
                         └──drop──▶ not ours, whatever was under way

Who owns what is decided in `ownership`; here is what it means for the memory. A shard begins like
a process does: what the store holds of it is read. What was read, or is recorded, of an earlier
time in which it was ours counts for nothing, because somebody else may have gone on meanwhile.
"""

from collections.abc import Collection, Iterable, Mapping
from math import ceil
from types import MappingProxyType

from tidings.core import limits
from tidings.core.health import HEALTHY, Health
from tidings.core.ownership import shard_of
from tidings.core.reading import Reading
from tidings.core.roster import Roster, Tenure
from tidings.core.slots import Slots
from tidings.core.turns import Turns

_ALLOWANCE = 1 + 3 * limits.CLOCK_DRIFT_SHARE_MAX
"""What a deadline that somebody else waits for gets added, because clocks differ."""


class Tenures:
    """The part of the scheduler that begins shards and lets go of them."""

    def __init__(self, roster: Roster, slots: Slots, turns: Turns, reading: Reading) -> None:
        self._roster = roster
        self._slots = slots
        self._turns = turns
        self._reading = reading

    # What others may ask.

    def owns(self, subscription_id: str) -> bool:
        """Whether a subscription is ours to send to."""
        tenures = self._roster.tenures
        return tenures is None or shard_of(subscription_id) in tenures

    def subscriptions_of(self, shards: Iterable[int]) -> set[str]:
        """The subscriptions of some shards, as far as they are known."""
        return set().union(*(self._roster.of_shard[shard] for shard in shards))

    def busy_shards(self) -> set[int]:
        """The shards with a request in flight, or a result that is not recorded."""
        return {shard_of(one.subscription_id) for one in self._slots.under_way()}

    def is_quiet(self, shard: int) -> bool:
        """Whether a shard has neither."""
        return shard not in self.busy_shards()

    def due_after_cut(self, shards: Collection[int], now_ms: int) -> dict[int, int]:
        """When rows in flight may be tried again by others if their requests are given up now."""
        due_at_ms: dict[int, int] = {}
        for seq, flight in self._slots.flights.items():
            deadline_ms = flight.deadline_ms
            if deadline_ms is None or shard_of(flight.delivery.subscription_id) not in shards:
                continue
            left_ms = max(0, deadline_ms - now_ms)
            due_at_ms[seq] = now_ms + ceil(left_ms * _ALLOWANCE)
        return due_at_ms

    # What happens to shards.

    def begin_none(self) -> None:
        """Share the table with others from now on: nothing is ours until it begins."""
        assert not self._roster.subscriptions, "shards are told apart from the beginning"
        self._roster.tenures = {}
        self._reading.follow(())

    def begin(
        self,
        shards: Collection[int],
        with_rows: Collection[str],
        healths: Mapping[str, Health],
        *,
        now_ms: int,
        silent_until_ms: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        """Work on these shards, with what the store holds of their subscriptions.

        Until `silent_until_ms` of a shard nothing is sent to its endpoints with ordering: a lost
        owner may have requests in flight to them.
        """
        roster = self._roster
        tenures = roster.tenures
        assert tenures is not None, "everything is ours already"
        for subscription_id in self.subscriptions_of(shards):
            # Left of an earlier time, for a request that was in flight then.
            roster.endpoints.pop(subscription_id, None)
        reading = roster.finished.newest_reading
        for shard in shards:
            tenures[shard] = Tenure(now_ms, silent_until_ms.get(shard, 0), reading)
        for subscription_id in dict.fromkeys([*with_rows, *healths]):
            endpoint = roster.endpoint(subscription_id, now_ms)
            if endpoint is not None:
                self._reading.restore(
                    endpoint,
                    healths.get(subscription_id, HEALTHY),
                    has_rows=subscription_id in with_rows,
                    now_ms=now_ms,
                )
        self._reading.follow(tenures)
        self._reading.read_all_due()

    def hand_over(self, shards: Collection[int]) -> None:
        """Start nothing more for these, and forget their rows; the table has them."""
        roster = self._roster
        if roster.tenures is None:
            return
        gone = self.subscriptions_of(shards)
        for shard in shards:
            roster.tenures.pop(shard, None)
        awaited = {one.subscription_id for one in self._slots.under_way()}
        for subscription_id in gone:
            endpoint = roster.endpoints.get(subscription_id)
            if endpoint is None:
                continue
            roster.drop_ready(endpoint)
            self._turns.leave(endpoint)
            endpoint.hand_over()
            if subscription_id not in awaited:
                del roster.endpoints[subscription_id]
        roster.strangers = {one for one in roster.strangers if self.owns(one)}
        self._reading.forget_due(gone)
        self._reading.follow(roster.tenures)

    def drop(self, shards: Collection[int]) -> None:
        """Forget these with all that is under way; requests in flight are to be given up."""
        self.hand_over(shards)
        dropped = [
            one for one in self._slots.under_way() if shard_of(one.subscription_id) in shards
        ]
        for delivery in dropped:
            self._roster.known.pop(delivery.seq, None)
            self._roster.endpoints.pop(delivery.subscription_id, None)
            self._slots.unrecorded.pop(delivery.seq, None)
