"""What was promised beside what arrived: nothing lost, and a reason for everything that came twice.

The receivers number their requests and answer with the number, which Tidings keeps with the
attempt. A request whose number is on no record was made by a process that died before it could
write down what came of it: window W4. Whatever arrives twice for another reason is a fault.
"""

import contextlib
import sqlite3
import subprocess
import sys
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tests.crashes import receiver
from tests.crashes.publishers import Ledger
from tests.crashes.receiver import Request
from tests.crashes.world import World
from tests.support.server import Server

W4, LATE, ASKED_FOR = "W4", "late answer", "replay"
_CLOCK_MS = 50
"""By how much a request may seem to begin before or end after its attempt."""

_UNREAD_MS = 300
"""For how long a receiver may leave a request unread, and its process be dead meanwhile.

No server starts as quickly as that, so no request of the next one is taken for such a one.
"""

_Key = tuple[str, str]


@dataclass
class Account:
    """The balance of a run."""

    ledger: Ledger
    requests: int
    lost: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    off_record: Counter[str] = field(default_factory=Counter)
    """Requests that no attempt on record tells of, by how their process died."""
    duplicates: Counter[str] = field(default_factory=Counter)
    """What came again after it had been taken, by its reason."""
    w4_ms_max: int = 0
    """How long before the death the oldest request off record had come."""

    @property
    def accepted(self) -> int:
        """How many events were accepted."""
        return len(self.ledger.accepted)


def account(world: World, ledger: Ledger) -> Account:
    """Compare what was accepted, what is on record and what the receivers got."""
    stored = {one["eventId"] for one in pages(world.server, "/events", eventType="order.*")}
    deliveries = {
        (path, one["eventId"]): one
        for path, subscription_id in world.subscription_ids.items()
        for one in pages(world.server, "/deliveries", subscriptionId=subscription_id)
    }
    # Read behind the deliveries: what is on record there has come by now.
    requests = world.received()
    balance = Account(ledger, len(requests))
    received: dict[_Key, list[Request]] = defaultdict(list)
    for request in requests:
        received[request.path, request.event_id].append(request)
    balance.lost += _halves(world, stored, deliveries)
    balance.lost += _lost(world, ledger, received, deliveries)
    for key, delivery in deliveries.items():
        # A publish that its publisher gave up may be accepted while we look; it is still under way.
        if delivery["status"] != "pending":
            _explain(world, received[key], delivery, balance)
    balance.unexplained += _out_of_order(requests)
    for copy, accepted in world.backups.items():
        balance.lost += _missing_in(copy, accepted)
    for replay_id in world.replay_ids:
        replay = world.server.call("GET", f"/replays/{replay_id}")
        if (replay["status"], replay["done"]) != ("finished", replay["deliveries"]):
            balance.lost.append(f"a replay has not come to its end: {replay}")
    return balance


def expect_clean(balance: Account) -> None:
    """Fail if anything was lost, or came twice without a reason that the documents name."""
    assert not balance.lost, "lost:\n" + "\n".join(map(str, balance.lost))
    assert not balance.unexplained, "unexplained:\n" + "\n".join(map(str, balance.unexplained))


def _halves(world: World, stored: set[str], deliveries: dict[_Key, Any]) -> Iterator[str]:
    """Events that are there, with or without a 202, and lack a delivery."""
    for event_id in stored:
        for path in world.subscription_ids:
            if (path, event_id) not in deliveries:
                yield f"{event_id} has no delivery to {path}"


def _lost(
    world: World,
    ledger: Ledger,
    received: dict[_Key, list[Request]],
    deliveries: dict[_Key, Any],
) -> Iterator[str]:
    """What was accepted and did not get to everybody."""
    for event_id in ledger.accepted:
        for path in world.subscription_ids:
            delivery = deliveries.get((path, event_id))
            if delivery is None or delivery["status"] != "delivered":
                yield f"{event_id} is not delivered to {path}: {delivery}"
            elif all(one.status != 200 for one in received[path, event_id]):
                yield f"{event_id} is delivered, and {path} has not got it"


def _missing_in(copy: Path, accepted: list[str]) -> Iterator[str]:
    """What a backup lacks of what had been accepted before it was begun."""
    expect_sound(copy)
    with contextlib.closing(sqlite3.connect(copy)) as db:
        copied = {event_id for (event_id,) in db.execute("SELECT event_id FROM event")}
    yield from (f"{copy.name} lacks {one}" for one in accepted if one not in copied)


def _explain(world: World, requests: list[Request], delivery: Any, balance: Account) -> None:
    """Find the reason for each request that came after one that the receiver had taken."""
    if len(requests) == delivery["attemptCount"] == 1:
        return
    attempts = world.server.call("GET", f"/deliveries/{delivery['deliveryId']}")["attempts"]
    if len(attempts) != delivery["attemptCount"]:
        balance.unexplained.append(f"attempts of {delivery} are missing: {attempts}")
    on_record = {int(one["responseBody"]): one for one in attempts if one["responseBody"]}
    if not on_record.keys() <= {one.number for one in requests}:
        balance.unexplained.append(f"an attempt is on record that nobody got: {attempts}")
    unanswered = [one for one in attempts if not one["responseBody"]]
    reason = None
    for request, following in zip_longest(requests, requests[1:]):
        if reason is not None:
            balance.duplicates[reason] += 1
        if request.number in on_record:
            fate = ASKED_FOR if delivery["replayCount"] else None
        elif any(_is_of(request, one) for one in unanswered):
            fate = LATE
        else:
            fate = _died_with(world, request, following, balance)
        if request.status == 200:
            reason = fate
            if fate is None and following is not None:
                balance.unexplained.append(f"{following} repeats {request} of {delivery}")


def _is_of(request: Request, attempt: Any) -> bool:
    """Whether this may be the request of an attempt whose answer was not seen."""
    began_ms = ms_of(attempt["startedAt"])
    ended_ms = began_ms + int(attempt["durationMs"])
    return began_ms - _CLOCK_MS <= request.at_ms <= ended_ms + _CLOCK_MS


def _died_with(
    world: World, request: Request, following: Request | None, balance: Account
) -> str | None:
    """W4 if the process that made the request died before the next one, with what it knew."""
    sent_ms = request.at_ms - _UNREAD_MS
    index = bisect_left(world.deaths, sent_ms, key=lambda death: death.at_ms)
    if index == len(world.deaths) or following is None:
        balance.unexplained.append(f"{request} is not on record, and nobody died")
        return None
    death = world.deaths[index]
    if following.at_ms < death.at_ms:
        balance.unexplained.append(f"{request} is not on record, nor was it when {following} came")
        return None
    balance.off_record[death.kind] += 1
    balance.w4_ms_max = max(balance.w4_ms_max, death.at_ms - request.at_ms)
    return W4


def _out_of_order(requests: list[Request]) -> Iterator[str]:
    """Where a key went backwards. Even a repeat is of the newest: the rest waits for its record."""
    newest: dict[str, int] = {}
    for request in requests:
        if request.path == receiver.ORDERED:
            publisher, number = request.event_id.split("-")
            if int(number) < newest.get(publisher, 0):
                yield f"{request} came after {newest[publisher]}"
            newest[publisher] = int(number)


def expect_sound(database: Path) -> None:
    """Fail if `tidings database check` finds damage."""
    command = [sys.executable, "-m", "tidings", "database", "check"]
    ended = subprocess.run(
        [*command, "--database", f"sqlite:///{database}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def pages(server: Server, path: str, **filters: str) -> Iterator[Any]:
    """All items of a list."""
    cursor: str | None = None
    while True:
        parameters = {"limit": "200", **filters} | ({"cursor": cursor} if cursor else {})
        page = server.call("GET", path, params=parameters)
        yield from page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            return


def ms_of(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1_000)
