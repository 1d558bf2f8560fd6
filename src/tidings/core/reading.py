"""How rows come from the queue table into memory: pages, due rows, and the audit of both."""

from collections.abc import Collection, Iterable

from tidings.core import limits
from tidings.core.commands import ReadDueOfSubscription, ReadDueWindow, ReadPage
from tidings.core.delivery import Delivery
from tidings.core.due_window import DueWindow
from tidings.core.endpoint import Endpoint
from tidings.core.health import Health
from tidings.core.roster import Roster
from tidings.core.turns import Turns

_READ_AGAIN_MS = 100


class Reading:
    """The part of the scheduler that asks for rows and takes them in."""

    def __init__(self, roster: Roster, turns: Turns) -> None:
        self._roster = roster
        self._turns = turns
        self._due = DueWindow()

    def attend(self, endpoint: Endpoint, now_ms: int) -> None:
        """See that an endpoint has the rows it needs, and its place in the turns."""
        if not endpoint.caught_up or endpoint.due_spilled:
            self._ask_for_rows(endpoint, now_ms)
        self._turns.consider(endpoint, now_ms)

    def advance(self, now_ms: int) -> None:
        """Let rows become ready whose due time has come, and ask for the next window in time."""
        while (delivery := self._due.pop_due(now_ms)) is not None:
            if not self._roster.is_present(delivery):
                continue
            endpoint = self._roster.endpoint(delivery.subscription_id, now_ms)
            if endpoint is None:
                del self._roster.known[delivery.seq]
            else:
                self._take_due(endpoint, delivery)
                self.attend(endpoint, now_ms)
        read = self._due.next_read(now_ms, self._roster.finished)
        if read is not None:
            self._roster.commands.append(read)

    def next_wake_ms(self) -> float:
        """When `advance` must be called again."""
        return self._due.next_wake_ms()

    def wait_until_due(self, endpoint: Endpoint, delivery: Delivery, now_ms: int) -> None:
        """Let a row wait for its due time: in memory if that is near, in the table otherwise."""
        due_at_ms = delivery.due_at_ms
        if due_at_ms is None or due_at_ms <= now_ms:
            self._take_due(endpoint, delivery)
            self.attend(endpoint, now_ms)
        elif self._due.covers(due_at_ms):
            self._forget_all(self._due.make_room())
            if self._due.covers(due_at_ms):
                self._roster.known[delivery.seq] = delivery
                self._due.push(delivery)

    def page_read(
        self, read: ReadPage, rows: list[Delivery], *, last_seq: int, is_last: bool, now_ms: int
    ) -> None:
        """Take in a page. `last_seq` is the highest `seq` looked at, `is_last` the end's sign."""
        endpoint = self._roster.endpoint_of_read(read.subscription_id, read.reading, now_ms)
        if endpoint is not None:
            endpoint.page_reading = False
            ends_seq, endpoint.page_ends_seq = endpoint.page_ends_seq, None
            if endpoint.cursor_seq == read.after_seq and not endpoint.subscription.is_over:
                fitting = self._fitting(endpoint, rows)
                if len(fitting) < len(rows):
                    last_seq, is_last = (fitting[-1].seq if fitting else 0), False
                self.take_all(endpoint, fitting, now_ms)
                endpoint.cursor_seq = max(last_seq, read.after_seq)
                if is_last:
                    # Rows that had been told of and are not there have ended.
                    endpoint.cursor_seq = max(endpoint.cursor_seq, read.newest_seq)
                endpoint.caught_up = is_last and endpoint.newest_seq <= endpoint.cursor_seq
            if ends_seq is not None:
                endpoint.read_from(ends_seq)
        self._end_read(read.reading, endpoint, now_ms)

    def due_of_subscription_read(
        self, read: ReadDueOfSubscription, rows: list[Delivery], now_ms: int
    ) -> None:
        """Take in due rows that had found no place before."""
        endpoint = self._roster.endpoint_of_read(read.subscription_id, read.reading, now_ms)
        if endpoint is not None:
            endpoint.due_reading = False
            fitting = self._fitting(endpoint, rows)
            endpoint.due_spilled |= len(rows) >= read.limit or len(fitting) < len(rows)
            if not self.take_all(endpoint, fitting, now_ms) and endpoint.due_spilled:
                # All of these are in memory already: more can be had when some of them are gone.
                self._roster.finished.end_read(read.reading)
                self._turns.consider(endpoint, now_ms)
                self._turns.wake_at(endpoint, now_ms + _READ_AGAIN_MS)
                return
            if not endpoint.due_spilled:
                endpoint.spilled_until_ms = 0
        self._end_read(read.reading, endpoint, now_ms)

    def due_window_read(self, read: ReadDueWindow, rows: list[Delivery], now_ms: int) -> None:
        """Take in the retries of the next minute."""
        self._due.read_finished(rows, read)
        for delivery in rows:
            endpoint = self._roster.endpoint_of_read(delivery.subscription_id, read.reading, now_ms)
            if endpoint is not None:
                self.take_all(endpoint, [delivery], now_ms)
        self._roster.finished.end_read(read.reading)

    def read_failed(self, read: ReadPage | ReadDueOfSubscription | ReadDueWindow) -> None:
        """Forget a read that the store could not answer; it is asked for again when needed."""
        self._roster.finished.end_read(read.reading)
        if isinstance(read, ReadDueWindow):
            self._due.read_failed()
            return
        endpoint = self._roster.endpoints.get(read.subscription_id)
        if endpoint is None or not endpoint.is_ours:
            return
        if isinstance(read, ReadPage):
            endpoint.page_reading = False
        else:
            endpoint.due_reading = False
            endpoint.due_spilled = True
        self._turns.wake_at(endpoint, 0)

    def read_all_due(self) -> None:
        """Read the due rows from the first on; those in memory are recognised."""
        self._due.restart()

    def follow(self, shards: Collection[int]) -> None:
        """Read rows of these shards only."""
        self._due.follow(shards)

    def restore(self, endpoint: Endpoint, health: Health, *, has_rows: bool, now_ms: int) -> None:
        """Begin with an endpoint of which the store holds something from before.

        With rows in the table it is behind; what is over gets its rows ended.
        """
        endpoint.health = health
        endpoint.set_rate(now_ms, starts_empty=True)
        endpoint.caught_up = not has_rows
        if has_rows and endpoint.subscription.is_over:
            self._roster.settle(endpoint)
        self.attend(endpoint, now_ms)

    def forget_due(self, subscription_ids: Collection[str]) -> None:
        """Forget the rows of some subscriptions that wait for their due time."""
        self._forget_all(self._due.drop(subscription_ids))

    def missing_rows(
        self, subscription_id: str, rows: list[Delivery], reading: int, now_ms: int
    ) -> list[Delivery]:
        """The audit: rows that should be in memory and are not. They are taken in.

        `reading` was begun with `begin_read` before the rows were read. Anything found is a bug of
        ours, and the caller says so loudly.
        """
        endpoint = self._roster.endpoint_of_read(subscription_id, reading, now_ms)
        missing: list[Delivery] = []
        if endpoint is not None and endpoint.caught_up and endpoint.may_send():
            for delivery in rows:
                is_ready = delivery.due_at_ms is None and delivery.seq <= endpoint.cursor_seq
                is_new = is_ready and self._roster.is_new(delivery)
                if is_new and endpoint.lanes.admits(delivery):
                    missing.append(delivery)
                    self._roster.make_ready(endpoint, delivery)
        self._end_read(reading, endpoint, now_ms)
        return missing

    def begin_read(self) -> int:
        """Note that a read begins that nobody asked for; the answer names it."""
        return self._roster.finished.begin_read()

    def end_read(self, reading: int) -> None:
        """Note that the rows of such a read are taken in, or that it failed."""
        self._roster.finished.end_read(reading)

    def _ask_for_rows(self, endpoint: Endpoint, now_ms: int) -> None:
        roster = self._roster
        subscription_id = endpoint.subscription.subscription_id
        limit = limits.ENDPOINT_WINDOW_ROWS_MAX
        is_full = len(roster.known) >= limits.ROWS_IN_MEMORY_MAX
        has_repeats = len(endpoint.again) >= limits.ENDPOINT_ROWS_MIN
        if endpoint.wants_page(now_ms) and not (is_full and (endpoint.fresh or has_repeats)):
            endpoint.page_reading = True
            reading = roster.finished.begin_read()
            roster.commands.append(
                ReadPage(subscription_id, endpoint.cursor_seq, limit, reading, endpoint.newest_seq)
            )
        if endpoint.wants_due_rows(now_ms) and not (is_full and endpoint.again):
            endpoint.due_reading = True
            endpoint.due_spilled = False
            reading = roster.finished.begin_read()
            # What lies further ahead is read by the due window, in time.
            until_ms = min(max(now_ms, endpoint.spilled_until_ms), now_ms + limits.DUE_WINDOW_MS)
            roster.commands.append(ReadDueOfSubscription(subscription_id, until_ms, limit, reading))
        elif endpoint.due_spilled and endpoint.may_send():
            # Held rows have no timer of their own; the endpoint's next try is theirs.
            waits_until_ms = endpoint.waits_until_ms()
            if waits_until_ms > now_ms:
                self._turns.wake_at(endpoint, waits_until_ms)

    def _fitting(self, endpoint: Endpoint, rows: list[Delivery]) -> list[Delivery]:
        """The first of the rows that were read: those that memory has room for.

        A full memory takes a few fresh rows and a few repeats from everybody who has none there, so
        that nobody has to wait for the backlogs of others. Repeats come in pages, too: a replay has
        no due time.
        """
        known = self._roster.known
        room = limits.ROWS_IN_MEMORY_MAX - len(known)
        if len(rows) <= room:
            return rows
        beside = {True: len(endpoint.fresh), False: len(endpoint.again)}
        fitting: list[Delivery] = []
        for delivery in rows:
            if delivery.seq not in known:
                is_fresh = delivery.is_fresh
                if room <= 0 and beside[is_fresh] >= limits.ENDPOINT_ROWS_MIN:
                    break
                room -= 1
                beside[is_fresh] += 1
            fitting.append(delivery)
        return fitting

    def take_all(self, endpoint: Endpoint, rows: list[Delivery], now_ms: int) -> bool:
        """Take in rows that were read, but those that are here already or were ended meanwhile.

        Answers whether there were any others.
        """
        found = False
        for delivery in rows:
            # A head that is in memory takes its lane, too, if it has lost it.
            if self._roster.finished.is_stale(delivery) or not endpoint.lanes.admits(delivery):
                continue
            if delivery.seq in self._roster.known:
                continue
            found = True
            if delivery.due_at_ms is None:
                self._roster.make_ready(endpoint, delivery)
            else:
                self.wait_until_due(endpoint, delivery, now_ms)
        return found

    def _take_due(self, endpoint: Endpoint, delivery: Delivery) -> None:
        """Let a due row wait for its turn, or leave it in the table if there is no place."""
        if endpoint.may_send() and len(endpoint.again) < limits.ENDPOINT_WINDOW_ROWS_MAX:
            self._roster.make_ready(endpoint, delivery)
        else:
            self.leave_in_table(endpoint, delivery)

    def leave_in_table(self, endpoint: Endpoint, delivery: Delivery) -> None:
        """Forget a row that stands in the table, and see that it is read again in time."""
        self._roster.known.pop(delivery.seq, None)
        if delivery.due_at_ms is not None:
            endpoint.spill(delivery)
        else:
            endpoint.caught_up = False
            endpoint.cursor_seq = min(endpoint.cursor_seq, delivery.seq - 1)

    def _forget_all(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            if self._roster.is_present(delivery):
                del self._roster.known[delivery.seq]

    def _end_read(self, reading: int, endpoint: Endpoint | None, now_ms: int) -> None:
        self._roster.finished.end_read(reading)
        if endpoint is not None:
            self.attend(endpoint, now_ms)
