"""Rows of the queue and the log as values, and back."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tidings.core.attempt import Attempt, ErrorClass, Outcome
from tidings.core.delivery import Delivery
from tidings.core.health import HEALTHY, Health
from tidings.core.ownership import shard_of
from tidings.core.payload import Form
from tidings.core.retry import DEFAULT_RETRY_POLICY, Exponential, RetryPolicy

DELIVERY_COLUMNS: Final = (
    "seq, delivery_id, tenant_id, subscription_id, event_seq, round, attempt_count,"
    " schedule_position, due_at_ms, ordering_key, kept_due_at_ms, is_single,"
    " form"
)
DELIVERY_TYPES: Final = "itttiiiiitiiii"
"""Of the columns, and of the shard behind them."""
ATTEMPT_COLUMNS: Final = (
    "attempt_id, delivery_id, round, number, started_at_ms, duration_ms, outcome, status_code,"
    " error_class, error_detail, sent_by, custom_header_names, response_headers, response_body"
)
ATTEMPT_TYPES: Final = "titiiititttttb"
"""In the order of the table, whose key comes first."""
HEALTH_COLUMNS: Final = (
    "consecutive_failures, failing_since_ms, probe_at_ms, probe_interval_ms, held_until_ms, is_told"
)

Row = Sequence[Any]


def delivery_of(row: Row) -> Delivery:
    """The delivery in a row of `DELIVERY_COLUMNS`."""
    members: Row = (*row[:11], bool(row[11]), Form(row[12]))
    return Delivery(*members)


def delivery_row(delivery: Delivery) -> Row:
    """The row of a delivery, in the order of the table: its shard stands last."""
    return (
        delivery.seq,
        delivery.delivery_id,
        delivery.tenant_id,
        delivery.subscription_id,
        delivery.event_seq,
        delivery.round,
        delivery.attempt_count,
        delivery.schedule_position,
        delivery.due_at_ms,
        delivery.ordering_key,
        delivery.kept_due_at_ms,
        int(delivery.is_single),
        int(delivery.form),
        shard_of(delivery.subscription_id),
    )


def attempt_of(row: Row) -> Attempt:
    """The attempt in a row of `ATTEMPT_COLUMNS`."""
    names, headers = row[11], row[12]
    members: Row = (
        *row[:6],
        Outcome(row[6]),
        row[7],
        None if row[8] is None else ErrorClass(row[8]),
        row[9],
        row[10],
        () if names is None else _names.decode(names),
        () if headers is None else _headers.decode(headers),
        row[13] or b"",
    )
    return Attempt(*members)


def attempt_row(attempt: Attempt) -> Row:
    """The row of an attempt, in the order of `ATTEMPT_COLUMNS`."""
    names, headers = attempt.custom_header_names, attempt.response_headers
    return (
        attempt.attempt_id,
        attempt.delivery_id,
        attempt.round,
        attempt.number,
        attempt.started_at_ms,
        attempt.duration_ms,
        attempt.outcome,
        attempt.status_code,
        attempt.error_class,
        attempt.error_detail,
        attempt.sent_by,
        msgspec.json.encode(names).decode() if names else None,
        msgspec.json.encode(headers).decode() if headers else None,
        attempt.response_body or None,
    )


def health_of(row: Row) -> Health:
    """The health in a row of `HEALTH_COLUMNS`, which are all null where nothing is stored."""
    if row[0] is None:
        return HEALTHY
    members: Row = (*row[:5], bool(row[5]))
    return Health(*members)


def retry_policy_of(text: str | None) -> RetryPolicy:
    """The retry policy as it is stored: null for the default, else as the subscriber wrote it."""
    if text is None:
        return DEFAULT_RETRY_POLICY
    stored = msgspec.json.decode(text)
    if isinstance(stored, list):
        return RetryPolicy(tuple(float(wait) for wait in stored))
    return RetryPolicy.from_formula(Exponential(**stored))


def retry_policy_text(policy: RetryPolicy) -> str | None:
    """What `retry_policy_of` turns back into the policy."""
    if policy == DEFAULT_RETRY_POLICY:
        return None
    stored = policy.waits_seconds if policy.formula is None else policy.formula
    return msgspec.json.encode(stored).decode()


_names = msgspec.json.Decoder(tuple[str, ...])
_headers = msgspec.json.Decoder(tuple[tuple[str, str], ...])
