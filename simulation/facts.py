"""What can be seen from outside: rows that were committed, requests on the wire, what clients hear.

Checkers know nothing but these facts. Times named `at` are seconds since the world began; `wall_ms`
is the server's wall clock at that moment, which may have been stepped.
"""

from typing import Any

import msgspec

from tidings.core.attempt import Answer


class Fact(msgspec.Struct, gc=False):
    """One thing that happened."""


# What a transaction left in the database, told when it is committed, in the order of statements.


class SubscriptionStored(Fact):
    """A subscription as it stands now."""

    subscription_id: str
    tenant_id: str
    status: str
    disabled_reason: str | None
    callback_url: str
    event_type: str
    ordering_enabled: int
    retry_policy: str | None
    rate_limit_per_second: float | None
    timeout_seconds: int
    content_filter: str | None
    payload_format: str
    thin_above_bytes: int | None
    version: int


class SubscriptionErased(Fact):
    """A subscription is gone from the table, tombstone and all."""

    subscription_id: str


class EventStored(Fact):
    """A new event."""

    seq: int
    tenant_id: str
    event_id: str
    event_type: str
    ordering_key: str | None
    body: bytes
    about: str | None


class EventEmptied(Fact):
    """The body of an event was erased."""

    seq: int


class EventErased(Fact):
    """An event is gone from the table."""

    seq: int


class RowQueued(Fact):
    """A row of the queue began."""

    seq: int
    delivery_id: str
    tenant_id: str
    subscription_id: str
    event_seq: int
    round: int
    attempt_count: int
    due_at_ms: int | None
    ordering_key: str | None
    kept_due_at_ms: int | None
    is_single: int
    form: int


class RowChanged(Fact):
    """A row of the queue changed."""

    seq: int
    attempt_count: int
    due_at_ms: int | None
    kept_due_at_ms: int | None
    schedule_position: int


class RowLeft(Fact):
    """A row left the queue."""

    seq: int


class FinishedStored(Fact):
    """A delivery ended, or its end was changed."""

    tenant_id: str
    delivery_id: str
    subscription_id: str
    event_seq: int
    round: int
    attempt_count: int
    status: str
    reason: str | None
    was: str | None


class FinishedErased(Fact):
    """A delivery left the log of the finished: replayed, or erased."""

    tenant_id: str
    delivery_id: str


class AttemptStored(Fact):
    """The record of an attempt."""

    delivery_id: str
    number: int
    round: int
    started_at_ms: int
    duration_ms: int
    outcome: str
    status_code: int | None
    error_class: str | None


class ReplayStored(Fact):
    """A replay in bulk began or moved on."""

    replay_id: str
    tenant_id: str
    total: int
    done: int
    finished_at_ms: int | None


class ReplayErased(Fact):
    """A replay in bulk is gone."""

    replay_id: str


class Committed(Fact):
    """All facts before this one, back to the last of its kind, became durable together."""

    number: int


class CommitTold(Fact):
    """The process was told of all commits up to this one: from here on it has no excuse."""

    number: int


# What went over the wire.


class Wire(msgspec.Struct):
    """One request, filled in as it goes along; whose it is, is for the record to find out."""

    number: int
    life: int
    at: float
    wall_ms: int
    url: str
    webhook_id: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout_seconds: float
    arrived_at: float | None = None
    said: int | None = None
    returned_at: float | None = None
    returned_wall_ms: int = 0
    answer: Answer | None = None
    subscription_id: str = ""
    delivery_id: str = ""
    row_seq: int = 0
    is_manual: bool = False
    ordering_key: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the process has a 2xx for it."""
        status = None if self.answer is None else self.answer.status_code
        return status is not None and 200 <= status < 300


class Sent(Fact):
    """The process made a request."""

    wire: Wire


class Arrived(Fact):
    """The receiver has seen the request and made up its mind."""

    wire: Wire
    wall_ms: int


class Returned(Fact):
    """The process has its answer, or the fault in its place."""

    wire: Wire


class GivenUp(Fact):
    """The process gave a request up before there was an answer."""

    wire: Wire


# What clients ask and are told.


class Call(msgspec.Struct):
    """One call of a client: who, what, when, and what came of it."""

    number: int
    verb: str
    tenant_id: str
    about: dict[str, Any]
    asked_at: float
    told_at: float | None = None
    answer: Any = None
    refusal: str | None = None
    is_unknown: bool = False


class Asked(Fact):
    """A client calls."""

    call: Call


class Told(Fact):
    """A client has its answer, its refusal, or the certainty that it will never know."""

    call: Call


# What happens to the process and its world.


class LifeBegan(Fact):
    """A process starts."""

    life: int


class LifeServes(Fact):
    """The process has restored what it needs, and serves."""

    life: int


class Measured(Fact):
    """What the process holds in memory."""

    rows: int
    finished_rows: int
    unrecorded: int
    body_bytes: int


class LifeEnded(Fact):
    """The process is gone: killed, or stopped in order."""

    life: int
    how: str


class Disturbed(Fact):
    """The world around the process fails, by this fault."""

    fault: str


class Healed(Fact):
    """From here on nothing fails any more."""
