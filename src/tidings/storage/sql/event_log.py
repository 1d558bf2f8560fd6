"""Reading the log of events in the order of commits, for those who follow it."""

from collections.abc import Sequence

from tidings.core.event import CommittedEvent
from tidings.core.event_span import EventSpan
from tidings.ports.records import EventPage
from tidings.storage.sql.base import SqlBase
from tidings.storage.sql.database import Database, fetch_all, fetch_one, given


class SqlEventLog(SqlBase):
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
        where, bindings = given(("tenant_id = ?", tenant_id), ("seq > ?", after_seq))
        sql = (
            "SELECT seq, CASE WHEN matches(?, event_type) THEN length(body) ELSE 0 END"
            f" FROM event WHERE {where} ORDER BY seq LIMIT ?"
        )

        def read(db: Database) -> EventPage:
            span = _span(db)
            wanted: list[tuple[int]] = []
            looked_at, through_seq, left = 0, after_seq, bytes_max
            for seq, body_bytes in fetch_all(db, sql, (patterns, *bindings, limit)):
                if left < 0:
                    return EventPage(_events(db, wanted), through_seq, is_last=False, span=span)
                looked_at, through_seq = looked_at + 1, seq
                if body_bytes:
                    wanted.append((seq,))
                    left -= body_bytes
            events = _events(db, wanted)
            is_last = looked_at < limit
            return EventPage(events, span.newest_seq if is_last else through_seq, is_last, span)

        return await self.read(read)


def _events(db: Database, seqs: Sequence[tuple[int]]) -> list[CommittedEvent]:
    """Events with their bodies: those that nobody wants are not even read."""
    found = db.execute_many(
        "SELECT seq, tenant_id, event_type, body, hops FROM event WHERE seq IN (",
        seqs,
        ")",
        types="i",
    )
    return sorted((CommittedEvent(*row) for row in found), key=lambda event: event.seq)


def _span(db: Database) -> EventSpan:
    sql = (
        "SELECT s.deleted_seq, c.last_seq FROM event_span s JOIN configuration c ON c.id = s.id"
        " WHERE s.id = 1"
    )
    return EventSpan(*fetch_one(db, sql))
