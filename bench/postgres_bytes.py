"""What an event costs PostgreSQL in bytes and CPU: ``python -m bench.postgres_bytes [--write]``.

Real events and results go through the store into a server that is started for it. No engine, no
network: so it is cheap, and bytes come out the same on a busy machine. CPU is that of all processes
of the server together. ``--write`` puts the tables into ``docs/operations.md``.
"""

import argparse
import asyncio
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from tests.support.postgres_server import PostgresServer, installations, running_server
from tests.support.values import CHANCE, NOW_MS, a_result, a_subscription, an_event
from tidings.api.wire.lifecycle import lifecycle_data
from tidings.core.attempt import Answer
from tidings.core.delivery import Delivery, Turn, ending_of
from tidings.core.event import NewEvent
from tidings.ports.store import Committed
from tidings.storage import postgres
from tidings.storage.sealing import Sealer
from tools.pages import DOCS, replace_block

_SETTINGS: Final = "max_wal_size = '4GB'\ncheckpoint_timeout = '15min'\n"
_DATABASE: Final = "bench"
_TEXT_BYTES: Final = 330
_ENDED: Final = ending_of(Turn.ATTEMPT_DELIVERED)
_ANSWER: Final = Answer(
    status_code=200,
    headers=(
        ("content-length", "11"),
        ("content-type", "application/json"),
        ("date", "Sat, 04 May 2024 12:00:00 GMT"),
        ("server", "example"),
    ),
    body=b'{"ok":true}',
)
_LOG: Final = ("event", "event_key", "finished_delivery", "attempt")
_SIZES: Final = (
    r"SELECT regexp_replace(relname, '_\d{8}$', ''), sum(pg_total_relation_size(oid))::bigint"
    " FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace GROUP BY 1"
)


class Costs(msgspec.Struct, frozen=True):
    """What one event costs, or one delivery of it."""

    body: int
    disk_of_event: Mapping[str, float]
    disk_of_waiting: float
    wal_to_accept: float
    wal_to_record: float
    cpu_us_to_accept: float
    cpu_us_to_record: float


class _Meter:
    """What the server has written and used so far."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        sql = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
        self.wal = int(server.run(sql, database=_DATABASE)[0][0])
        self.sizes: dict[str, int] = dict(map(tuple, server.run(_SIZES, database=_DATABASE)))
        self.cpu_us = server.cpu_seconds() * 1e6


async def _measured(server: PostgresServer, events: int, at_once: int, fan_out: int) -> Costs:
    store = await postgres.open_store(
        server.url(_DATABASE),
        sealer=Sealer(b"k" * 32),
        chance=CHANCE,
        lifecycle_data=lifecycle_data,
        now_ms=NOW_MS,
    )
    rows: list[Delivery] = []

    def note(changes: Committed) -> None:
        rows.extend(changes.arrived)

    store.on_commit(note)
    for number in range(fan_out):
        one = a_subscription(callback_url=f"https://example.com/{number}")
        await store.create_subscription(one, quota=fan_out)
    before = _Meter(server)
    for start in range(0, events, at_once):
        batch = [_event() for _ in range(at_once)]
        await store.accept_events(batch, now_ms=NOW_MS + start // at_once)
    accepted = _Meter(server)
    for start in range(0, len(rows), at_once):
        batch_of_rows = rows[start : start + at_once]
        await store.record_results([a_result(row, _ENDED, answer=_ANSWER) for row in batch_of_rows])
    recorded = _Meter(server)
    await store.close()
    count, body = len(rows) // fan_out, len(_event().body)
    waiting = accepted.sizes["delivery"] - before.sizes["delivery"]
    return Costs(
        body=body,
        disk_of_event={name: (recorded.sizes[name] - before.sizes[name]) / count for name in _LOG},
        disk_of_waiting=waiting / len(rows),
        wal_to_accept=(accepted.wal - before.wal) / count,
        wal_to_record=(recorded.wal - accepted.wal) / len(rows),
        cpu_us_to_accept=(accepted.cpu_us - before.cpu_us) / count,
        cpu_us_to_record=(recorded.cpu_us - accepted.cpu_us) / len(rows),
    )


def _event() -> NewEvent:
    text = b64encode(os.urandom(_TEXT_BYTES))
    data = b'{"orderId":"or_12345678","text":"%s"}' % text
    return an_event(event_id=CHANCE.new_id("evt", NOW_MS), data=data)


def measured(*, events: int, at_once: int, fan_out: int = 1) -> Costs:
    """What events cost that come in transactions of so many, with so many deliveries each."""
    newest = max(installations(), key=lambda one: int(one.version))
    with running_server(newest, settings=_SETTINGS) as server:
        server.run(f"CREATE DATABASE {_DATABASE} TEMPLATE template0 ENCODING 'UTF8'")
        return asyncio.run(_measured(server, events, at_once, fan_out))


def bytes_table(one: Costs, five: Costs) -> Iterator[str]:
    """The tables of bytes, from events with one delivery and with five."""
    yield "| what | bytes on disk, indexes included | kept |"
    yield "|---|---:|---|"
    yield f"| an event | {one.disk_of_event['event']:,.0f} | for the retention |"
    key = one.disk_of_event["event_key"]
    yield f"| the key by which its repeats are known | {key:,.0f} | for the retention |"
    finished = one.disk_of_event["finished_delivery"]
    yield f"| a finished delivery | {finished:,.0f} | for the retention |"
    attempt = one.disk_of_event["attempt"]
    yield f"| an attempt with its answer | {attempt:,.0f} | for the retention |"
    yield f"| an unfinished delivery | {one.disk_of_waiting:,.0f} | until it ends |"
    yield ""
    yield "| what | bytes of WAL |"
    yield "|---|---:|"
    yield f"| to accept an event with one delivery | {one.wal_to_accept:,.0f} |"
    further = (five.wal_to_accept - one.wal_to_accept) / 4
    yield f"| for each further delivery of it | {further:,.0f} |"
    yield f"| to record an attempt that ends its delivery | {one.wal_to_record:,.0f} |"


def cpu_table(few: Costs, many: Costs) -> Iterator[str]:
    """The table of CPU, from transactions of few and of many."""
    yield "| what PostgreSQL does | µs in transactions of 20 | µs in transactions of 256 |"
    yield "|---|---:|---:|"
    accept = f"{few.cpu_us_to_accept:,.0f} | {many.cpu_us_to_accept:,.0f}"
    yield f"| accept an event with one delivery | {accept} |"
    record = f"{few.cpu_us_to_record:,.0f} | {many.cpu_us_to_record:,.0f}"
    yield f"| record an attempt that ends its delivery | {record} |"


def main() -> None:
    """Measure, print, and perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    parser.add_argument("--events", type=int, default=20_480)
    arguments = parser.parse_args()
    one = measured(events=arguments.events, at_once=20)
    five = measured(events=arguments.events // 5, at_once=20, fan_out=5)
    many = measured(events=arguments.events, at_once=256)
    tables = {
        "bytes on PostgreSQL": "\n".join(bytes_table(one, five)),
        "CPU of PostgreSQL": "\n".join(cpu_table(one, many)),
    }
    for name, table in tables.items():
        print(f"{name}, bodies of {one.body} bytes\n\n{table}\n")
        if arguments.write:
            replace_block(DOCS / "operations.md", name, table)


if __name__ == "__main__":
    main()
