"""The queue table as a dict: what the scheduler's reads and commits meet in virtual time.

Test scaffolding that answers as the store promises to (`tidings.ports.store`), so that reads may
be stale and commits told late at a test's will. The store itself has its contract suite.
"""

from copy import copy
from dataclasses import dataclass, field

import msgspec

from tidings.core.commands import ReadDueOfSubscription, ReadDueWindow, ReadPage
from tidings.core.delivery import Delivery, Ending
from tidings.core.subscription import Subscription


@dataclass
class Page:
    """Rows as a read saw them, and how far it looked."""

    rows: list[Delivery]
    last_seq: int = 0
    is_last: bool = True


@dataclass
class QueueTable:
    """Unfinished rows by `seq`, the finished deliveries, and the subscriptions, as committed."""

    rows: dict[int, Delivery] = field(default_factory=dict)
    finished: dict[str, Delivery] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    last_seq: int = 0

    def add(self, subscription: Subscription, ordering_key: str | None = None) -> Delivery:
        """A first delivery of a new event."""
        self.last_seq += 1
        delivery = Delivery(
            seq=self.last_seq,
            delivery_id=f"dlv_{self.last_seq}",
            tenant_id=subscription.tenant_id,
            subscription_id=subscription.subscription_id,
            event_seq=self.last_seq,
            ordering_key=ordering_key if subscription.ordering_enabled else None,
        )
        self.rows[delivery.seq] = delivery
        return delivery

    def add_round(self, delivery_id: str, *, is_single: bool = False) -> Delivery:
        """A new round of a finished delivery: a new row with the old id."""
        old = self.finished.pop(delivery_id)
        self.last_seq += 1
        again = Delivery(
            seq=self.last_seq,
            delivery_id=delivery_id,
            tenant_id=old.tenant_id,
            subscription_id=old.subscription_id,
            event_seq=old.event_seq,
            round=old.round + 1,
            attempt_count=old.attempt_count,
            ordering_key=old.ordering_key,
            is_single=is_single,
        )
        self.rows[again.seq] = again
        return again

    def ask_for_attempt(self, seq: int, now_ms: int) -> Delivery:
        """Put one attempt before the schedule of a pending delivery."""
        row = self.rows[seq]
        kept_ms = (row.due_at_ms or 0) if row.kept_due_at_ms is None else row.kept_due_at_ms
        asked = msgspec.structs.replace(row, due_at_ms=now_ms, kept_due_at_ms=kept_ms)
        self.rows[seq] = asked
        return asked

    def record(self, delivery: Delivery, ending: Ending | None) -> tuple[bool, Delivery | None]:
        """Apply what an attempt led to; answers whether it did, and who is next in its lane."""
        row = self.rows.get(delivery.seq)
        if row is None:
            return False, self.head_after(delivery)
        assert row.attempt_count == delivery.attempt_count - 1, "the row has seen other attempts"
        if ending is None:
            self.rows[delivery.seq] = delivery
            return True, None
        return True, self.end(delivery)

    def end(self, delivery: Delivery) -> Delivery | None:
        """End a row; answers the one that became the head of its lane by that."""
        del self.rows[delivery.seq]
        self.finished[delivery.delivery_id] = delivery
        return self.head_after(delivery)

    def head_after(self, ended: Delivery) -> Delivery | None:
        """The head of a lane if it stood behind a row that has ended."""
        head = self.head_of_lane(ended)
        return head if head is not None and head.seq > ended.seq else None

    def head_of_lane(self, delivery: Delivery) -> Delivery | None:
        """The row of the lane that may go; None for a row without an ordering key."""
        if delivery.ordering_key is None:
            return None
        lane = [row for row in self.of(delivery.subscription_id) if _same_lane(row, delivery)]
        return min(lane, key=_seq, default=None)

    def of(self, subscription_id: str) -> list[Delivery]:
        """The rows of a subscription in the order of `seq`."""
        rows = [row for row in self.rows.values() if row.subscription_id == subscription_id]
        return sorted(rows, key=_seq)

    def read(self, command: ReadPage | ReadDueOfSubscription | ReadDueWindow) -> Page:
        """What the store would answer at this moment; rows of its own, as a store makes them."""
        page = self._read(command)
        return Page([copy(row) for row in page.rows], page.last_seq, page.is_last)

    def _read(self, command: ReadPage | ReadDueOfSubscription | ReadDueWindow) -> Page:
        if isinstance(command, ReadPage):
            return self._page(command)
        if isinstance(command, ReadDueOfSubscription):
            due = self._due(self.of(command.subscription_id), command.until_ms)
        else:
            due = self._due(list(self.rows.values()), command.until_ms)
            due = [row for row in due if (row.due_at_ms or 0, row.seq) > command.after]
        return Page(due[: command.limit])

    def _page(self, command: ReadPage) -> Page:
        of = self.of(command.subscription_id)
        rows = [
            row
            for row in of
            if row.seq > command.after_seq
            and (row.due_at_ms is None or row.ordering_key is not None)
            and (row.ordering_key is None or self.head_of_lane(row) is row)
        ][: command.limit]
        if len(rows) >= command.limit:
            return Page(rows, rows[-1].seq, is_last=False)
        last_seq = max((row.seq for row in of), default=0)
        return Page(rows, max(last_seq, command.after_seq), is_last=True)

    @staticmethod
    def _due(rows: list[Delivery], until_ms: int) -> list[Delivery]:
        due = [row for row in rows if row.due_at_ms is not None and row.due_at_ms <= until_ms]
        return sorted(due, key=lambda row: (row.due_at_ms or 0, row.seq))


def _seq(delivery: Delivery) -> int:
    return delivery.seq


def _same_lane(one: Delivery, other: Delivery) -> bool:
    return one.ordering_key == other.ordering_key
