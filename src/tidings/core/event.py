"""An event: a fact that a publisher tells us, immutable; and its frozen body."""

import hashlib
from typing import Final, Literal

import msgspec

from tidings.core.refusals import Fault

_DATA_MARK: Final = b',"data":'
ERASED_BODY: Final = b""
"""What stands in place of a body whose data was erased for good."""


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event on its way in.

    `event_key` is what makes a repeat a repeat: the publisher's event id, or a text that contains
    ``:`` and stands for an Idempotency-Key, so that no publisher can write it as an event id.
    `content_hash` covers only what the publisher gave. `body` is what receivers get. `hops` counts
    how often what it tells was received from Tidings and published anew. `is_over_rate` says that
    the tenant publishes too fast: the event may be answered as a repeat, and not be let in. A
    lifecycle event is `about` a subscription, which does not get it. With `faults` its data do not
    fit the schema that is enforced: it, too, may only be answered as a repeat.
    """

    event_id: str
    event_key: str
    tenant_id: str
    event_type: str
    occurred_at: str
    ordering_key: str | None
    content_hash: bytes
    body: bytes
    hops: int = 0
    is_over_rate: bool = False
    about: str | None = None
    faults: tuple[Fault, ...] = ()


class Event(msgspec.Struct, frozen=True, gc=False):
    """An accepted event. `seq` is its place in the one order of commits."""

    seq: int
    event_id: str
    tenant_id: str
    event_type: str
    occurred_at: str
    ordering_key: str | None
    body: bytes

    @property
    def data(self) -> bytes | None:
        """The publisher's `data`, byte for byte; None once it was erased."""
        return data_of(self.body) if self.body else None


class CommittedEvent(msgspec.Struct, frozen=True, gc=False):
    """An accepted event as those get it who follow the log: its place, and what receivers get."""

    seq: int
    tenant_id: str
    event_type: str
    body: bytes
    hops: int = 0


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The answer to a publish: the event as it stands, and whether it was there before."""

    event_id: str
    event_type: str
    occurred_at: str
    deliveries: int
    is_repeat: bool = False


class Conflicting(msgspec.Struct, frozen=True, gc=False):
    """The answer to a publish whose key is taken by an event with other content."""

    event_id: str


class OverQuota(msgspec.Struct, frozen=True, gc=False):
    """The answer to a new event of a tenant that has used up one of its quotas."""

    quota: Literal["events_per_second", "backlog"]


class Unfitting(msgspec.Struct, frozen=True, gc=False):
    """The answer to a new event whose data do not fit the schema of its event type."""

    faults: tuple[Fault, ...]


AcceptResult = Accepted | Conflicting | OverQuota | Unfitting


def frozen_body(event_id: str, event_type: str, occurred_at: str, data: bytes) -> bytes:
    """The body that every receiver gets, with `data` as the publisher wrote it.

    The three texts come from grammars without characters that JSON would escape.
    """
    return b'{"eventId":"%b","eventType":"%b","occurredAt":"%b","data":%b}' % (
        event_id.encode("ascii"),
        event_type.encode("ascii"),
        occurred_at.encode("ascii"),
        data,
    )


def data_of(body: bytes) -> bytes:
    """The publisher's `data` within a frozen body."""
    return body[body.index(_DATA_MARK) + len(_DATA_MARK) : -1]


def split_body(body: bytes) -> tuple[str, str, str]:
    """The event id, the event type and `occurredAt` that stand in a frozen body."""
    head = body[: body.index(_DATA_MARK)].decode("ascii").split('"')
    return head[3], head[7], head[11]


def content_hash(
    event_type: str, ordering_key: str | None, occurred_at: str | None, data: bytes
) -> bytes:
    """A fingerprint of what the publisher gave: 16 bytes of BLAKE2b, each part set off by NUL."""
    parts = (event_type, ordering_key or "", occurred_at or "")
    head = "\0".join(parts).encode("utf-8") + b"\0"
    return hashlib.blake2b(head + data, digest_size=16).digest()
