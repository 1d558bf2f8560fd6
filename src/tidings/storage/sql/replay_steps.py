"""What the next step of a replay in bulk covers: looked for in bounded pieces, by a cursor.

A step looks at a bounded number of rows, whether they belong to the replay or not, so that one that
finds little among much holds the writer up no longer than any other.
"""

from typing import Any, Final

import msgspec

from tidings.core.content_filter import EventData
from tidings.core.filter_grammar import content_filter
from tidings.core.grammar import OPERATOR
from tidings.core.identifier import lowest_id, lowest_seq
from tidings.ports.records import ReplayScope
from tidings.storage.sql.database import Database, Rows, fetch_all, fetch_one, given
from tidings.storage.sql.rounds import FINISHED_SELECT, TAKES_EVENTS

_TIME_MAX_MS: Final = 1 << 42

# A content filter is asked afterwards, because only Python knows what it says.
_MISSED: Final = (
    "SELECT e.seq, e.ordering_key, length(e.body), s.content_filter,"
    " CASE WHEN s.content_filter IS NULL THEN NULL ELSE e.body END"
    " FROM event e CROSS JOIN subscription s ON s.subscription_id = ? AND s.tenant_id = ?"
    f" WHERE e.seq >= ? AND e.seq <= ? AND {TAKES_EVENTS}"
    " AND matches(?, e.event_type) AND matches(s.event_type, e.event_type)"
    " AND e.about IS DISTINCT FROM s.subscription_id AND length(e.body) > 0"
    " AND NOT EXISTS (SELECT 1 FROM delivery d"
    "  WHERE d.event_seq = e.seq AND d.subscription_id = s.subscription_id)"
    " AND NOT EXISTS (SELECT 1 FROM finished_delivery d"
    "  WHERE d.event_seq = e.seq AND d.subscription_id = s.subscription_id)"
)


class Step(msgspec.Struct, frozen=True):
    """The rows to begin, how far was looked, and whether nothing lies behind.

    The rows are those of `FINISHED_SELECT`; of missed events `seq`, ordering key and size.
    """

    rows: Rows
    cursor: str
    is_last: bool


class Bounds(msgspec.Struct, frozen=True):
    """How much a step may begin and look at, and before which moment a replay was asked for."""

    rows_max: int
    looked_max: int
    created_at_ms: int | None = None


def next_step(db: Database, scope: ReplayScope, cursor: str, bounds: Bounds) -> Step:
    """What comes behind the cursor, which is empty at the beginning."""
    if scope.only == "missed":
        return _missed_step(db, scope, cursor, bounds)
    return _finished_step(db, scope, cursor, bounds)


def _missed_step(db: Database, scope: ReplayScope, cursor: str, bounds: Bounds) -> Step:
    first = max(lowest_seq(scope.since_ms or 0), int(cursor or 0) + 1)
    until_ms = _TIME_MAX_MS if scope.until_ms is None else scope.until_ms
    if bounds.created_at_ms is not None:
        until_ms = min(until_ms, bounds.created_at_ms + 1)
    # To the operator come events of all tenants.
    owner, owners = (
        ("TRUE", []) if scope.tenant_id == OPERATOR else ("tenant_id = ?", [scope.tenant_id])
    )
    count, last = fetch_one(
        db,
        f"SELECT count(*), max(seq) FROM (SELECT seq FROM event WHERE {owner}"
        " AND seq >= ? AND seq < ? ORDER BY seq LIMIT ?) AS looked_at",
        (*owners, first, lowest_seq(until_ms), bounds.looked_max),
    )
    if not count:
        return Step([], cursor, is_last=True)
    missed = fetch_all(
        db,
        f"{_MISSED} AND {'e.' if owners else ''}{owner} ORDER BY e.seq LIMIT ?",
        (
            scope.subscription_id,
            scope.tenant_id,
            first,
            last,
            scope.patterns,
            *owners,
            bounds.rows_max,
        ),
    )
    rows = [row[:3] for row in missed if _passes(row[3], row[4])]
    if len(missed) >= bounds.rows_max:
        return Step(rows, str(missed[-1][0]), is_last=False)
    return Step(rows, str(last), is_last=count < bounds.looked_max)


def _passes(wanted: str | None, body: bytes) -> bool:
    """Whether a content filter lets an event through; no filter lets through everything."""
    return wanted is None or EventData(body, is_body=True).passes(content_filter(wanted))


def _finished_step(db: Database, scope: ReplayScope, cursor: str, bounds: Bounds) -> Step:
    where, bindings = _range(scope, cursor)
    count, last = fetch_one(
        db,
        "SELECT count(*), max(delivery_id) FROM (SELECT d.delivery_id FROM finished_delivery d"
        f" WHERE {where} ORDER BY d.delivery_id LIMIT ?) AS looked_at",
        (*bindings, bounds.looked_max),
    )
    if not count:
        return Step([], cursor, is_last=True)
    finished_by_ms = _TIME_MAX_MS if bounds.created_at_ms is None else bounds.created_at_ms
    rows = fetch_all(
        db,
        f"{FINISHED_SELECT} WHERE {where} AND d.delivery_id <= ? AND +d.tenant_id = ?"
        # What fails again while the replay goes on is not part of it.
        " AND d.status IN ('dead_lettered', 'delivered') AND d.finished_at_ms <= ?"
        f" AND matches(?, e.event_type) AND length(e.body) > 0 AND {TAKES_EVENTS}"
        " ORDER BY d.delivery_id LIMIT ?",
        (*bindings, last, scope.tenant_id, finished_by_ms, scope.patterns, bounds.rows_max),
    )
    if len(rows) >= bounds.rows_max:
        return Step(rows, str(rows[-1][1]), is_last=False)
    return Step(rows, str(last), is_last=count < bounds.looked_max)


def _range(scope: ReplayScope, cursor: str) -> tuple[str, list[Any]]:
    """The deliveries behind the cursor, in the words of the narrowest index."""
    since = None if scope.since_ms is None else lowest_id("dlv", scope.since_ms)
    until = None if scope.until_ms is None else lowest_id("dlv", scope.until_ms)
    is_wide = scope.subscription_id is None
    where, bindings = given(
        ("d.tenant_id = ?", scope.tenant_id if is_wide else None),
        ("d.subscription_id = ?", scope.subscription_id),
        ("d.delivery_id >= ?", since),
        ("d.delivery_id < ?", until),
        ("d.delivery_id > ?", cursor),
    )
    # Written out, so that the index of dead letters can serve.
    return (f"d.status = 'dead_lettered' AND {where}" if scope.only == "dead" else where), bindings
