"""The part of the store that counts what came of attempts."""

from typing import Protocol

from tidings.ports.records import StatisticsRecord


class StatisticsStore(Protocol):
    """What came of attempts in the course of time. Dead letters made by the store count, too."""

    async def read_statistics(
        self, tenant_id: str, subscription_id: str | None, *, since_ms: int, until_ms: int
    ) -> StatisticsRecord:
        """The roll-ups that begin in a span of time, and the backlog, at one moment.

        Without a subscription it is about the whole tenant. What is unknown has none of either.
        """
        ...

    async def coarsen_roll_ups(
        self, *, span_seconds: int, into_seconds: int, before_ms: int, limit: int
    ) -> int:
        """Join up to `limit` roll-ups of a span into longer ones; answers how many went.

        Only those are joined whose longer span was over at `before_ms`.
        """
        ...

    async def delete_roll_ups(self, *, before_ms: int, limit: int) -> int:
        """Delete roll-ups of hours that began before a moment; answers how many."""
        ...
