"""The scheduler's world where others work on the same table, and own the shards in between.

What others commit stands in the table at once. It is seen by a reader with one cursor, whose reads
look at one moment and are handed over at another. The transaction of a result has looked at the
table when the answer came, so it may have missed what was inserted since.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from tests.support.scheduler_world import OK, SchedulerWorld
from tidings.core.attempt import Answer
from tidings.core.commands import Send
from tidings.core.decision import Decision
from tidings.core.delivery import Delivery, Ending
from tidings.core.health import HEALTHY, Health
from tidings.core.ownership import shard_of
from tidings.core.scheduler import Scheduler

LOST_OWNERS_MS = 31_000


@dataclass
class Look:
    """What a read of the reader saw."""

    reading: int
    inclusions: int
    through_seq: int
    rows: list[Delivery]
    changed: list[Delivery]
    ended: list[Delivery]
    log_length: int


@dataclass
class Beginning:
    """A shard that is being begun: what got rows meanwhile, and what was found."""

    noted: set[str] = field(default_factory=set)
    with_rows: list[str] | None = None
    healths: dict[str, Health] = field(default_factory=dict)


class SharedWorld(SchedulerWorld):
    """One worker among others, owning what a test says."""

    def __init__(self, *, concurrency_max: int = 8) -> None:
        super().__init__(concurrency_max=concurrency_max)
        self._begin_anew()
        self.owned: set[int] = set()
        self.handed: set[int] = set()
        self.ended_by_others: set[int] = set()
        self.silent: dict[str, int] = {}
        self.sees_all = False

    def put_clock_back(self, by_ms: int) -> None:
        super().put_clock_back(by_ms)
        self.silent = {name: until_ms - by_ms for name, until_ms in self.silent.items()}

    def _begin_anew(self) -> None:
        self.scheduler.tenures.begin_none()
        self.beginning: dict[int, Beginning] = {}
        self.cursor_seq = self.table.last_seq
        self.inclusions = 0
        self.look: Look | None = None
        self.log: list[tuple[bool, Delivery]] = []
        self.log_read = 0
        self.snapshots: dict[int, int] = {}

    def shard(self, name: str) -> int:
        return shard_of(name)

    # What others do.

    def retry(self, seq: int) -> None:
        self.log.append((False, self.table.ask_for_attempt(seq, self.now_ms)))

    def retry_here(self, seq: int) -> None:
        """A person asks for an attempt at our own process."""
        asked = self.table.ask_for_attempt(seq, self.now_ms)
        self.untold.append(lambda: self.scheduler.changed([asked], self.now_ms))
        self.tell_all()

    def end_elsewhere(self, rows: Iterable[Delivery], *, unseen: int = 1) -> None:
        """Somebody else ends rows, by a transaction that has not seen the newest ones."""
        for row in rows:
            if row.seq in self.table.rows:
                newest_seq = self.table.last_seq - unseen
                head = self.table.end(self.table.rows[row.seq])
                self.ended_by_others.add(row.seq)
                self.log.append((True, row))
                if head is not None and (self.sees_all or head.seq <= newest_seq):
                    self.log.append((False, head))

    def work_elsewhere(self, name: str, *, succeeds: bool) -> None:
        """Another owner tries the oldest row of a subscription."""
        assert shard_of(name) not in self.owned | self.handed | set(self.beginning)
        rows = self.table.of(name)
        if not rows:
            return
        row = rows[0]
        if succeeds:
            self.ended_by_others.add(row.seq)
            self.table.end(row)
        else:
            self.table.rows[row.seq] = msgspec.structs.replace(
                row, attempt_count=row.attempt_count + 1, due_at_ms=self.now_ms + 1_000
            )

    # What the reader does.

    def read(self) -> None:
        """Look at what is new."""
        shards = self.owned | set(self.beginning)
        if self.look is not None or not shards:
            return
        # What was committed here is heard of before what others see of it.
        self.tell_all()
        rows = sorted(
            (
                row
                for row in self.table.rows.values()
                if row.seq > self.cursor_seq and shard_of(row.subscription_id) in shards
            ),
            key=lambda row: row.seq,
        )
        news = [(is_end, row) for is_end, row in self.log[self.log_read :]]
        present = self.table.rows
        self.look = Look(
            self.scheduler.reading.begin_read(),
            self.inclusions,
            self.table.last_seq,
            [msgspec.structs.replace(row) for row in rows],
            [
                msgspec.structs.replace(present[row.seq])
                for is_end, row in news
                if not is_end and row.seq in present
            ],
            [row for is_end, row in news if is_end],
            len(self.log),
        )

    def take_in(self) -> bool:
        """Hand over what the reader saw; answers whether it was anything."""
        look, self.look = self.look, None
        if look is None:
            return False
        found = False
        if look.inclusions == self.inclusions:
            self.cursor_seq, self.log_read = look.through_seq, look.log_length
            found = bool(look.rows or look.changed or look.ended)
            for row in (*look.rows, *look.changed):
                beginning = self.beginning.get(shard_of(row.subscription_id))
                if beginning is not None:
                    beginning.noted.add(row.subscription_id)
            self.promises.ended(look.ended)
            self.scheduler.ended(look.ended, self.now_ms)
            self.scheduler.changed(look.changed, self.now_ms)
            self.scheduler.all_told(look.ended, self.now_ms)
            self.scheduler.arrived(look.rows, self.now_ms)
        self.scheduler.reading.end_read(look.reading)
        return found

    # What becomes of shards.

    def include(self, name: str) -> None:
        """Begin a shard: from now on it is noted what gets rows."""
        shard = shard_of(name)
        if shard in self.owned or shard in self.handed or shard in self.beginning:
            return
        self.tell_all()
        if not self.owned and not self.beginning:
            self.cursor_seq = self.table.last_seq
        self.beginning[shard] = Beginning()
        self.inclusions += 1

    def find(self, name: str) -> None:
        """Look for what there is in the table of a shard that is begun."""
        beginning = self.beginning.get(shard_of(name))
        if beginning is not None and beginning.with_rows is None:
            names = [one for one in self.table.subscriptions if shard_of(one) == shard_of(name)]
            beginning.with_rows = [one for one in names if self.table.of(one)]
            beginning.healths = {
                one: self.healths[one] for one in names if self.healths.get(one, HEALTHY) != HEALTHY
            }

    def begin(self, name: str, *, was_lost: bool = False) -> None:
        """Work on a shard from now on."""
        shard = shard_of(name)
        beginning = self.beginning.get(shard)
        if beginning is None or beginning.with_rows is None:
            return
        del self.beginning[shard]
        silent_until_ms = self.now_ms + LOST_OWNERS_MS if was_lost else 0
        if self.table.subscriptions[name].ordering_enabled:
            self.silent[name] = silent_until_ms
        self.owned.add(shard)
        self.promises.begun(name)
        self.scheduler.tenures.begin(
            [shard],
            {*beginning.with_rows, *beginning.noted},
            beginning.healths,
            now_ms=self.now_ms,
            silent_until_ms={shard: silent_until_ms},
        )

    def own_all(self) -> None:
        """Own everything."""
        self.let_go_of_handed()
        for name in self.table.subscriptions:
            self.include(name)
            self.find(name)
            self.begin(name)

    def hand_over(self, name: str) -> None:
        """Start nothing more for a shard."""
        shard = shard_of(name)
        if self.beginning.pop(shard, None) is None and shard in self.owned:
            self.owned.remove(shard)
            self.handed.add(shard)
            self.scheduler.tenures.hand_over([shard])

    def let_go_of_handed(self) -> None:
        """Release what is quiet."""
        self.handed = {one for one in self.handed if not self.scheduler.tenures.is_quiet(one)}

    def drop(self, name: str) -> None:
        """Lose a shard, with whatever is under way."""
        shard = shard_of(name)
        self.tell_all()
        self.beginning.pop(shard, None)
        self.owned.discard(shard)
        self.handed.discard(shard)
        self.scheduler.tenures.drop([shard])
        for seq, send in list(self.in_flight.items()):
            if shard_of(send.delivery.subscription_id) == shard:
                self.abandon(seq)
        dropped = [one for one in self.results if shard_of(one[0].subscription_id) == shard]
        for delivery, _ in dropped:
            self.promises.abandoned(delivery.seq)
        self.results = type(self.results)(one for one in self.results if one not in dropped)

    # What the engine does, here.

    def step(self) -> list[Send]:
        sends = super().step()
        for send in sends:
            name = send.delivery.subscription_id
            assert shard_of(name) in self.owned, "sent what is not ours"
            assert self.silent.get(name, 0) <= self.now_ms, "sent before a lost owner's deadline"
            if send.delivery.seq in self.ended_by_others:
                assert self.log_read < len(self.log), "sent though others had ended it"
        return sends

    def answer(self, seq: int, answer: Answer = OK) -> Decision:
        self.snapshots[seq] = self.table.last_seq
        return super().answer(seq, answer)

    def restart(self) -> None:
        concurrency_max = self.promises.concurrency_max
        self.scheduler = Scheduler(concurrency_max=concurrency_max)
        self.promises.restarted(self.scheduler)
        for waiting in (self.in_flight, self.results, self.under_way, self.untold):
            waiting.clear()
        self.owned, self.handed = set(), set()
        self._begin_anew()
        for subscription in self.table.subscriptions.values():
            self.promises.told(subscription)
            self.scheduler.subscription_changed(subscription, self.now_ms)
        self.own_all()

    def flow(self, answer: Answer | None = OK) -> list[Send]:
        sent: list[Send] = []
        while True:
            sent += super().flow(answer)
            self.take_in()
            self.read()
            if not self.take_in() and not self.scheduler.next_wake_ms() < self.now_ms:
                return sent

    # The steps of the above.

    def _commit_arrival(self, rows: list[Delivery]) -> None:
        """Others hear of them, too: the reader tells."""

    def _seen(self, delivery: Delivery, head: Delivery | None) -> Delivery | None:
        newest_seq = self.snapshots.pop(delivery.seq, 0)
        if head is None or self.sees_all or head.seq <= newest_seq:
            return head
        return None

    def _applied(self, delivery: Delivery, ending: Ending | None) -> tuple[bool, Delivery | None]:
        applied, head = super()._applied(delivery, ending)
        return applied, self._seen(delivery, head)
