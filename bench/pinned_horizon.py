"""How slow the queue is beside a long transaction: ``python -m bench.pinned_horizon [--write]``.

Rows go through the queue of a real server, by the store alone, while a transaction that began
before keeps every dead row from being vacuumed. Then it ends, and the rows are vacuumed.
``--write`` puts the table into ``docs/operations.md``.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

import asyncpg

from tests.support.postgres_server import installations, running_server
from tests.support.values import CHANCE, NOW_MS, a_result, a_subscription, an_event
from tidings.api.wire.lifecycle import lifecycle_data
from tidings.core.attempt import Answer
from tidings.core.delivery import Delivery, Turn, ending_of
from tidings.core.limits import SHARDS
from tidings.storage import postgres
from tidings.storage.sealing import Sealer
from tools.pages import DOCS, replace_block

_NAME: Final = "pinned horizon"
_SUBSCRIPTIONS: Final = 20
_AT_ONCE: Final = 250
_READS: Final = 60
_ENDED: Final = ending_of(Turn.ATTEMPT_DELIVERED)
_FAILED: Final = Answer(status_code=500)
_FAR_MS: Final = NOW_MS + 3_600_000

Figures = Mapping[str, float]


class _Queue:
    """A store with subscriptions, and rows that go through it."""

    def __init__(self, store: postgres.PostgresStore) -> None:
        self._store = store
        self._subscriptions = [
            a_subscription("a", callback_url=f"https://example.com/{number}")
            for number in range(_SUBSCRIPTIONS)
        ]
        self._after_seq = 0

    async def begin(self) -> None:
        for one in self._subscriptions:
            await self._store.create_subscription(one, quota=_SUBSCRIPTIONS)
        self._after_seq = await self._store.newest_seq()

    async def pass_through(self, rows: int) -> None:
        """Have so many rows arrive, fail once, wait for a due time, and end."""
        for _ in range(rows // (_AT_ONCE * _SUBSCRIPTIONS) or 1):
            for row in await self._arrived(_AT_ONCE):
                waiting = [
                    a_result(one, None, answer=_FAILED, due_at_ms=NOW_MS + 1_000) for one in row
                ]
                await self._store.record_results(waiting)
                ending = [a_result(one.delivery, _ENDED) for one in waiting]
                await self._store.record_results(ending)

    async def measured(self) -> Figures:
        """The median time of each read in milliseconds, with a few rows in the queue."""
        store, name = self._store, self._subscriptions[0].subscription_id
        rows = [row for part in await self._arrived(1) for row in part]
        after_seq = rows[0].seq - 1
        figures = {
            "new rows behind the cursor": await _median(
                lambda: store.read_arrivals(after_seq=after_seq, shards=range(SHARDS), limit=100)
            ),
            "a page of one subscription": await _median(
                lambda: store.read_page(name, after_seq=0, limit=100)
            ),
            "rows that fall due": await _median(
                lambda: store.read_due(after=(0, 0), until_ms=_FAR_MS, limit=100)
            ),
            "which subscriptions have rows": await _median(
                store.list_subscriptions_with_deliveries
            ),
            "accept an event": await _median(
                lambda: store.accept_events([an_event("other")], now_ms=NOW_MS)
            ),
        }
        await store.record_results([a_result(row, _ENDED) for row in rows])
        return figures

    async def _arrived(self, events: int) -> list[list[Delivery]]:
        wanted = [an_event("a") for _ in range(events)]
        while wanted:
            # As many as one transaction takes.
            del wanted[: len(await self._store.accept_events(wanted, now_ms=NOW_MS))]
        found: list[Delivery] = []
        while len(found) < events * _SUBSCRIPTIONS:
            arrivals = await self._store.read_arrivals(
                after_seq=self._after_seq, shards=range(SHARDS), limit=1_000
            )
            self._after_seq = arrivals.through_seq
            found += arrivals.rows
        return [found[start : start + _AT_ONCE] for start in range(0, len(found), _AT_ONCE)]


async def _median(do: Callable[[], Awaitable[Any]]) -> float:
    took = []
    for _ in range(_READS):
        began = time.perf_counter()
        await do()
        took.append((time.perf_counter() - began) * 1_000)
    return statistics.median(took)


async def _measured(url: str, rows: int) -> tuple[Figures, Figures, Figures]:
    store = await postgres.open_store(
        url,
        sealer=Sealer(b"k" * 32),
        chance=CHANCE,
        lifecycle_data=lifecycle_data,
        now_ms=NOW_MS,
    )
    holder = await asyncpg.connect(url)
    queue = _Queue(store)
    await queue.begin()
    await queue.pass_through(_AT_ONCE * _SUBSCRIPTIONS)
    await holder.execute("VACUUM ANALYZE delivery")
    before = await queue.measured()
    await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM delivery")
    await queue.pass_through(rows)
    # What autovacuum tries now and then, in vain.
    other = await asyncpg.connect(url)
    await other.execute("VACUUM ANALYZE delivery")
    during = await queue.measured()
    await holder.execute("ROLLBACK")
    await other.execute("VACUUM ANALYZE delivery")
    after = await queue.measured()
    await holder.close()
    await other.close()
    await store.close()
    return before, during, after


def table(before: Figures, during: Figures, after: Figures) -> Iterator[str]:
    """The table, a line for each read."""
    yield "| what, in milliseconds | before | beside it | after it, vacuumed |"
    yield "|---|---:|---:|---:|"
    for name in before:
        yield f"| {name} | {before[name]:.1f} | {during[name]:.1f} | {after[name]:.1f} |"


def main() -> None:
    """Measure, print, and perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into the page")
    parser.add_argument("--rows", type=int, default=50_000)
    arguments = parser.parse_args()
    newest = max(installations(), key=lambda one: int(one.version))
    with running_server(newest) as server:
        figures = asyncio.run(_measured(server.own_url, arguments.rows))
    written = "\n".join(table(*figures))
    print(f"PostgreSQL {newest.version}, {arguments.rows:,} rows\n\n{written}")
    if arguments.write:
        replace_block(DOCS / "operations.md", _NAME, written)


if __name__ == "__main__":
    main()
