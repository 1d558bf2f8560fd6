"""Crashes with a course of their own: the first start, retention, a log that lost its end."""

import shutil
import signal
import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.crashes import receiver
from tests.crashes.account import expect_sound, pages
from tests.crashes.world import World, world
from tests.crashes.write_ahead_log import cut_or_flip, frames_not_copied, read_log
from tests.support.server import Server

_A_SECOND_IN_DAYS = str(1 / 86_400)
_FIRST_WRITES = 80
"""About how many writes a server needs to make and migrate its database."""
_EVENTS_TO_DELETE = 800
_KILLS_UNTIL_THE_LOG_MATTERS = 10
_ORPHANS = {
    "deliveries": "SELECT count(*) FROM finished_delivery WHERE event_seq NOT IN"
    " (SELECT seq FROM event)",
    "rows": "SELECT count(*) FROM delivery WHERE event_seq NOT IN (SELECT seq FROM event)",
    "ids": "SELECT count(*) FROM event_key WHERE event_seq NOT IN (SELECT seq FROM event)",
    "attempts": "SELECT count(*) FROM attempt WHERE delivery_id NOT IN"
    " (SELECT delivery_id FROM finished_delivery UNION SELECT delivery_id FROM delivery)",
}


def first_starts(folder: Path, seed: int, *, kills: int) -> World:
    """Die in the writes of the first start, migrations included, and start again after each."""
    with world(folder, seed) as one:
        for number in range(kills):
            lowest, highest = (_FIRST_WRITES * n // kills for n in (number, number + 1))
            one.server = Server(folder / f"first-{number}")
            writes, share = one.draw.randrange(lowest, highest), one.draw.random()
            one.server.spawn("tests.crashes.torn_writes", str(writes), str(share))
            assert one.server.await_end(seconds=90) == -signal.SIGKILL
            one.note_death("first start")
            one.server.start()
            assert one.server.publish()["deliveries"] == 0
            expect_sound(one.server.database)
            assert one.server.stop() == 0
            one.server.client.close()
    return one


def retention(folder: Path, seed: int, *, kills: int) -> World:
    """Die while old events are deleted: nothing goes by halves, and nothing is sent again."""
    with world(folder, seed) as one:
        one.start(receiver.STEADY)
        items = [{"eventType": "order.shipped", "data": {}}] * _EVENTS_TO_DELETE
        one.server.call("POST", "/events/batch", {"events": items})
        one.await_the_end_of_deliveries()
        received = len(one.received())
        assert received >= _EVENTS_TO_DELETE
        one.server.stop()
        short = Server(one.server.data_dir, RETENTION_DAYS=_A_SECOND_IN_DAYS)
        one.server, before = short, one.server
        before.client.close()
        for _ in range(kills):
            writes, share = one.draw.randrange(3, 80), one.draw.random()
            short.spawn("tests.crashes.torn_writes", str(writes), str(share))
            assert short.await_end(seconds=90) == -signal.SIGKILL
            one.note_death("retention")
            assert _orphans(short.database) == dict.fromkeys(_ORPHANS, 0)
        short.start()
        one.until(
            lambda: not list(pages(short, "/events", eventType="order.*")),
            "the old events do not go",
        )
        expect_sound(short.database)
        assert len(one.received()) == received
        assert short.stop() == 0
    return one


def cut_logs(folder: Path, seed: int, *, cuts: int) -> int:
    """Take the end of the log away: what remains is whole and is delivered; answers commits lost.

    This destroys what was flushed to the disk and acknowledged, as no crash does. So some events
    are gone; but they are the newest, and none is there by half.
    """
    with world(folder, seed) as one:
        one.start()
        one.publish()
        _kill_with_commits_in_the_log(one)
        one.stop_publishing()
        commits, killed = 0, one.server.data_dir
        one.server.client.close()
        for number in range(cuts):
            server = Server(folder / f"cut-{number}")
            shutil.copytree(killed, server.data_dir)
            commits += cut_or_flip(read_log(server.write_ahead_log), one.draw)
            one.server = server.start()
            one.await_the_end_of_deliveries()
            expect_sound(server.database)
            _expect_whole_beginning(one)
            assert server.stop() == 0
            server.client.close()
    return commits


def _kill_with_commits_in_the_log(one: World) -> None:
    """Kill the server; again if a checkpoint had just copied the whole log to the database."""
    for _ in range(_KILLS_UNTIL_THE_LOG_MATTERS):
        one.wait(0.5, 1)
        one.kill("cut log")
        if frames_not_copied(read_log(one.server.write_ahead_log)):
            return
        one.server.start()
    raise AssertionError("every kill met a log that was copied to its end")


def _expect_whole_beginning(one: World) -> None:
    """Each publisher's events are there up to some number, each delivered to everybody."""
    delivered: dict[str, set[str]] = defaultdict(set)
    for delivery in pages(one.server, "/deliveries"):
        assert delivery["status"] == "delivered", delivery
        delivered[delivery["eventId"]].add(delivery["subscriptionId"])
    numbers: dict[str, list[int]] = defaultdict(list)
    everybody = set(one.subscription_ids.values())
    for event in pages(one.server, "/events", eventType="order.*"):
        publisher, number = event["eventId"].split("-")
        numbers[publisher].append(int(number))
        assert delivered.pop(event["eventId"]) == everybody
    assert delivered == {}
    for publisher, found in numbers.items():
        assert sorted(found) == list(range(len(found))), publisher


def _orphans(database: Path) -> dict[str, Any]:
    with sqlite3.connect(database) as db:
        found = {name: db.execute(sql).fetchone()[0] for name, sql in _ORPHANS.items()}
    db.close()
    return found
