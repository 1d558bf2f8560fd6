"""How rows come into memory that were just committed: new ones, heads of lanes, wishes of people.

They are told of in the order of commits, by the store itself or by a reader that sees what others
have committed. What a reader tells may have been seen by a page before, or be handed over with the
end of a head, so that everything may come twice.
"""

from collections.abc import Iterable

from tidings.core import limits
from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint
from tidings.core.reading import Reading
from tidings.core.roster import Roster
from tidings.core.slots import Slots
from tidings.core.turns import Turns


class Intake:
    """The part of the scheduler that takes in what was just committed."""

    def __init__(self, roster: Roster, slots: Slots, turns: Turns, reading: Reading) -> None:
        self._roster = roster
        self._slots = slots
        self._turns = turns
        self._reading = reading

    def arrived(self, deliveries: Iterable[Delivery], now_ms: int) -> None:
        """Take in new rows, and such as were asked for by hand, in the order of `seq`."""
        touched: dict[str, Endpoint] = {}
        for delivery in deliveries:
            endpoint = self._roster.endpoint(delivery.subscription_id, now_ms)
            if endpoint is None:
                continue
            touched[delivery.subscription_id] = endpoint
            if delivery.is_manual:
                self._take_manual(endpoint, delivery)
            elif delivery.seq > endpoint.cursor_seq:
                self._take_new(endpoint, delivery)
            elif delivery.ordering_key is not None and endpoint.subscription.takes_events:
                self._take_passed(endpoint, delivery)
        for endpoint in touched.values():
            self._reading.attend(endpoint, now_ms)

    def unparked(self, deliveries: Iterable[Delivery], now_ms: int) -> None:
        """Take in rows that became the heads of their lanes because another ended."""
        for delivery in deliveries:
            endpoint = self._roster.endpoint(delivery.subscription_id, now_ms)
            if endpoint is None or endpoint.subscription.is_over:
                continue
            self._reading.take_all(endpoint, [delivery], now_ms)
            self._reading.attend(endpoint, now_ms)

    def changed(self, deliveries: Iterable[Delivery], now_ms: int) -> None:
        """Take in rows as they stand after a change that somebody else has made."""
        for delivery in deliveries:
            if delivery.is_manual:
                self.arrived([delivery], now_ms)
            else:
                self.unparked([delivery], now_ms)

    def ended(self, deliveries: Iterable[Delivery], now_ms: int) -> None:
        """Look for followers, once all is told of a commit that ended rows.

        A follower may have been told of before although the commit did not see it.
        """
        for delivery in deliveries:
            if delivery.ordering_key is None:
                continue
            endpoint = self._roster.endpoints.get(delivery.subscription_id)
            if endpoint is not None and endpoint.is_ours:
                self.find_followers(endpoint, delivery)
                self._reading.attend(endpoint, now_ms)

    def find_followers(self, endpoint: Endpoint, ended: Delivery) -> None:
        """Have the followers read that were refused and not handed over with the end of a head."""
        if endpoint.lanes.has_missed(ended):
            endpoint.read_from(ended.seq)

    def _take_manual(self, endpoint: Endpoint, delivery: Delivery) -> None:
        is_told = self._roster.known.get(delivery.seq) == delivery
        if is_told or self._slots.is_under_way(delivery):
            return
        # Behind a head that is under way, or whose end is not known here, it is parked.
        if not self._roster.finished.is_stale(delivery) and endpoint.lanes.admits(delivery):
            self._roster.known[delivery.seq] = delivery
            self._turns.add_manual(endpoint, delivery)

    def _take_new(self, endpoint: Endpoint, delivery: Delivery) -> None:
        has_no_room = (
            endpoint.ready_rows >= limits.ENDPOINT_WINDOW_ROWS_MAX
            or len(endpoint.lanes) >= limits.ENDPOINT_LANES_MAX
            or (len(self._roster.known) >= limits.ROWS_IN_MEMORY_MAX and endpoint.ready_rows > 0)
            or endpoint.subscription.is_over
        )
        if has_no_room:
            endpoint.caught_up = False
        if not endpoint.caught_up:
            endpoint.newest_seq = delivery.seq
            if delivery.ordering_key is not None:
                self._note_follower(endpoint, delivery)
            return
        endpoint.cursor_seq = delivery.seq
        if self._roster.is_new(delivery) and endpoint.lanes.admits(delivery):
            self._roster.make_ready(endpoint, delivery)

    def _note_follower(self, endpoint: Endpoint, delivery: Delivery) -> None:
        """See that a row is found that the page which is being read may look past.

        The page may see it parked behind a head whose end it does not see, and we have heard of
        that end or hear of it next, from a transaction that did not see the row.
        """
        if not endpoint.lanes.is_taken(delivery) and endpoint.page_reading:
            endpoint.read_from(delivery.seq - 1)

    def _take_passed(self, endpoint: Endpoint, delivery: Delivery) -> None:
        """Take in a row that a page left out because of a head that had ended unknown to us.

        A page may see commits that we are told of only afterwards: the end of a head, and behind
        it a follower that came too late to be handed over with that end.
        """
        if self._roster.is_new(delivery) and endpoint.lanes.admits(delivery):
            self._roster.make_ready(endpoint, delivery)
