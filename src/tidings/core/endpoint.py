"""One subscription's callback URL as the scheduler sees it: its rows, its pace, its health."""

from collections import deque
from enum import IntEnum
from math import inf

from tidings.core import limits
from tidings.core.attempt import Outcome
from tidings.core.concurrency import Concurrency
from tidings.core.delivery import Delivery
from tidings.core.fairness import Share
from tidings.core.health import HEALTHY, Health
from tidings.core.ordering import Lanes
from tidings.core.rate import RateLimit
from tidings.core.subscription import Subscription

_LATENCY_MEMORY = 0.7
_LATENCY_UNKNOWN_MS = 50.0


class Speed(IntEnum):
    """How fast an endpoint answered of late, which decides the slots it may use."""

    FAST = 0
    UNKNOWN = 1
    SLOW = 2
    FAILING = 3
    """Fast, but every time with a failure: it costs work for nothing, so few may go at once."""


class Endpoint:
    """Rows that may go, and when the next may.

    It is *caught up* while memory holds all rows that could go, and *behind* otherwise: then new
    rows only raise `newest_seq`, and rows come from pages above `cursor_seq`.
    """

    __slots__ = (
        "again",
        "awaits_again_slot",
        "awaits_host_slot_as",
        "caught_up",
        "concurrency",
        "cursor_seq",
        "departures",
        "due_reading",
        "due_spilled",
        "fresh",
        "health",
        "host",
        "in_flight",
        "is_ours",
        "lanes",
        "latency_ms",
        "manual",
        "newest_seq",
        "page_ends_seq",
        "page_reading",
        "queued_as",
        "rate",
        "served_again",
        "share",
        "silent_until_ms",
        "speed",
        "spilled_until_ms",
        "subscription",
        "tenant",
        "wake_at_ms",
    )

    def __init__(self, subscription: Subscription, tenant: Share, *, now_ms: int) -> None:
        self.tenant = tenant
        self.follow(subscription)
        self.share = Share(subscription.subscription_id)
        self.health: Health = HEALTHY
        self.concurrency = Concurrency()
        self.rate: RateLimit | None = None
        # What was let go may wait for its body, so the moments of departure are limited as well.
        self.departures: RateLimit | None = None
        self.lanes = Lanes()
        self.fresh: deque[Delivery] = deque()
        self.again: deque[Delivery] = deque()
        self.manual: deque[Delivery] = deque()
        self.in_flight = 0
        self.speed = Speed.UNKNOWN
        self.latency_ms = 0.0
        self.caught_up = True
        self.cursor_seq = 0
        self.newest_seq = 0
        self.page_reading = False
        # How far the page that is being read may be believed at most, if not as far as it looks.
        self.page_ends_seq: int | None = None
        self.due_spilled = False
        self.spilled_until_ms = 0
        self.due_reading = False
        self.queued_as: Speed | None = None
        self.awaits_again_slot = False
        self.awaits_host_slot_as: Speed | None = None
        self.served_again = False
        self.wake_at_ms = inf
        self.silent_until_ms = 0
        self.is_ours = True
        self.set_rate(now_ms, starts_empty=False)

    @property
    def ready_rows(self) -> int:
        """How many rows wait in memory for their turn."""
        return len(self.fresh) + len(self.again)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is lost when this endpoint is forgotten."""
        return (
            self.caught_up
            and not (self.in_flight or self.ready_rows or self.manual or len(self.lanes))
            and not (self.due_spilled or self.page_reading or self.due_reading)
            and self.queued_as is None
            and self.health is HEALTHY
            and self.rate is None
        )

    def follow(self, subscription: Subscription) -> None:
        """Take in the subscription as it stands now."""
        self.subscription = subscription
        self.host = subscription.callback_url.split("/", 3)[2].lower()

    def set_rate(self, now_ms: int, *, starts_empty: bool) -> None:
        """Follow the subscription's rate limit."""
        per_second = self.subscription.rate_limit_per_second
        if per_second is None:
            self.rate = self.departures = None
        elif starts_empty or self.rate is None or self.rate.per_second != per_second:
            self.rate = RateLimit(per_second, now_ms=now_ms, starts_empty=starts_empty)
            self.departures = RateLimit(per_second, now_ms=now_ms, starts_empty=starts_empty)

    def clock_put_back(self, by_ms: int, now_ms: int) -> None:
        """Do not wait for the clock to come back to where it was."""
        self.silent_until_ms = max(0, self.silent_until_ms - by_ms)
        self.concurrency.clock_put_back(now_ms)
        for rate in (self.rate, self.departures):
            if rate is not None:
                rate.clock_put_back(by_ms, now_ms)

    def may_send(self) -> bool:
        """Whether its subscription allows attempts; without a secret nothing goes unsigned."""
        return self.subscription.may_send and bool(self.subscription.secrets)

    def free_at_ms(self) -> float:
        """From when on the next attempt may start; infinite while only an event can free it."""
        if not self.may_send():
            return inf
        if self.in_flight >= (1 if self.health.is_open else self.concurrency.limit):
            return inf
        free_at_ms = 0.0 if self.rate is None else self.rate.free_at_ms()
        return max(free_at_ms, self.departs_at_ms(), self.waits_until_ms())

    def departs_at_ms(self) -> float:
        """From when on the rate limit lets another request leave."""
        return 0.0 if self.departures is None else self.departures.free_at_ms()

    def wants_page(self, now_ms: int) -> bool:
        """Whether rows must be read so that it does not run dry."""
        if self.caught_up or self.page_reading or not self.may_send():
            return False
        if self.ready_rows >= limits.ENDPOINT_WINDOW_ROWS_MAX // 2:
            return False
        if len(self.lanes) >= limits.ENDPOINT_LANES_MAX:
            return False
        return self.waits_until_ms() <= now_ms or not self.ready_rows

    def wants_due_rows(self, now_ms: int) -> bool:
        """Whether retries that found no place must be read."""
        return (
            self.due_spilled
            and not self.due_reading
            and self.may_send()
            and self.waits_until_ms() <= now_ms
            and len(self.again) < limits.ENDPOINT_WINDOW_ROWS_MAX // 2
        )

    def waits_until_ms(self) -> int:
        """Until when its health, or a lost owner's requests, keep it from sending; 0 if not."""
        health = self.health
        return max(health.probe_at_ms or 0, health.held_until_ms or 0, self.silent_until_ms)

    def read_from(self, seq: int) -> None:
        """Have the rows above `seq` read in pages, also if one is being read that began before."""
        self.caught_up = False
        self.cursor_seq = min(self.cursor_seq, seq)
        if self.page_reading:
            ends_seq = self.page_ends_seq
            self.page_ends_seq = seq if ends_seq is None else min(seq, ends_seq)

    def spill(self, delivery: Delivery) -> None:
        """Have due rows read, and among them this one, which has found no place.

        Where clocks differ, or were put back, its time may be still to come.
        """
        self.due_spilled = True
        self.spilled_until_ms = max(self.spilled_until_ms, delivery.due_at_ms or 0)

    def hand_over(self) -> None:
        """Want nothing any more: somebody else goes on. Requests in flight may still come back."""
        self.is_ours = False
        self.caught_up, self.due_spilled = True, False

    def add_ready(self, delivery: Delivery) -> None:
        """Let a row wait for its turn; a due one among the repeats, also before its first try."""
        (self.fresh if delivery.is_fresh else self.again).append(delivery)

    def next_ready(self, *, again_allowed: bool) -> Delivery | None:
        """Remove and answer the row whose turn it is.

        Fresh rows and repeats take turns. A probe is the oldest of both.
        """
        if not self.again or not again_allowed:
            return self.fresh.popleft() if self.fresh else None
        if not self.fresh:
            return self.again.popleft()
        if self.health.is_open:
            take_again = self.again[0].seq < self.fresh[0].seq
        else:
            take_again = not self.served_again
        self.served_again = take_again
        return (self.again if take_again else self.fresh).popleft()

    def expected_ms(self) -> float:
        """How long the next attempt will probably hold its slot."""
        return self.latency_ms or _LATENCY_UNKNOWN_MS

    def judge_speed(self) -> None:
        """Sort it by how it answered of late."""
        if self.latency_ms >= limits.SLOW_ANSWER_MS:
            self.speed = Speed.SLOW
        elif self.health.consecutive_failures >= limits.FAILING_AFTER_FAILURES:
            self.speed = Speed.FAILING
        else:
            self.speed = Speed.FAST

    def learn(self, outcome: Outcome, *, is_choking: bool, started_at_ms: int, now_ms: int) -> None:
        """Take in how an attempt went, for pace and concurrency."""
        took_ms = float(max(now_ms - started_at_ms, 1))
        if took_ms < self.latency_ms:
            took_ms = self.latency_ms * _LATENCY_MEMORY + took_ms * (1 - _LATENCY_MEMORY)
        self.latency_ms = took_ms
        self.concurrency.attempt_finished(
            outcome, is_choking=is_choking, started_at_ms=started_at_ms, now_ms=now_ms
        )
