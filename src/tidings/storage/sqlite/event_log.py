"""Reading the log of events in SQLite in the order of commits, for those who follow it."""

import apsw

from tidings.core.event import CommittedEvent
from tidings.core.event_span import EventSpan
from tidings.ports.records import EventPage
from tidings.storage.sqlite.base import SqliteBase
from tidings.storage.sqlite.statements import fetch_one


class SqliteEventLog(SqliteBase):
    """The part of the store port that follows events."""

    async def read_event_span(self) -> EventSpan:
        """See `EventStore`."""
        return await self.read(_span)

    async def read_events_after(
        self,
        after_seq: int,
        *,
        tenant_id: str | None,
        patterns: str | None,
        limit: int,
        bytes_max: int,
    ) -> EventPage:
        """See `EventStore`."""
        condition, bindings = "seq > ?", [patterns, after_seq]
        if tenant_id is not None:
            condition, bindings = f"tenant_id = ? AND {condition}", [patterns, tenant_id, after_seq]
        # A body that nobody wants is not even read: it may lie on many pages of the file.
        sql = (
            "SELECT seq, tenant_id, event_type,"
            " CASE WHEN length(body) > 0 AND matches(?, event_type) THEN body END, hops"
            f" FROM event WHERE {condition} ORDER BY seq LIMIT ?"
        )

        def read(db: apsw.Connection) -> EventPage:
            span = _span(db)
            events: list[CommittedEvent] = []
            looked_at, through_seq, left = 0, after_seq, bytes_max
            rows = db.execute(sql, (*bindings, limit))
            for seq, tenant, event_type, body, hops in rows:
                looked_at, through_seq = looked_at + 1, seq
                if body is not None:
                    events.append(CommittedEvent(seq, tenant, event_type, body, hops))
                    left -= len(body)
                if left < 0:
                    rows.close(force=True)
                    return EventPage(events, through_seq, is_last=False, span=span)
            is_last = looked_at < limit
            return EventPage(events, span.newest_seq if is_last else through_seq, is_last, span)

        return await self.read(read)


def _span(db: apsw.Connection) -> EventSpan:
    sql = (
        "SELECT s.deleted_seq, c.last_seq FROM event_span s JOIN configuration c ON c.id = s.id"
        " WHERE s.id = 1"
    )
    return EventSpan(*fetch_one(db, sql))
