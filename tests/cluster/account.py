"""What was promised beside what arrived, for a cluster: nothing lost, and a reason for each repeat.

A request on no record was made by a process that died, was stopped for longer than its lease, or
handed its shard over before it could write down what came of it. Each such request must name its
process, and what was done to that process: window W4 if the receiver had answered before, else W5.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.rates import too_fast
from tests.cluster.world import Cluster, Freeze, Trouble
from tests.crashes import receiver
from tests.crashes.account import LATE, W4, Account, ms_of, pages
from tests.crashes.publishers import Ledger
from tests.crashes.receiver import Request

W5 = "W5"
_CLOCK_MS = 50

_Key = tuple[str, str]


@dataclass
class ClusterAccount(Account):
    """The balance of a run of a cluster."""

    delivery_ids: dict[_Key, str] = field(default_factory=dict)
    left_behind: set[int] = field(default_factory=set)
    """Requests that a worker left on their way when it was stopped, and which came afterwards."""
    strays: set[int] = field(default_factory=set)
    """Requests whose answer nobody has written down."""
    off_record_by: Counter[str] = field(default_factory=Counter)
    """The requests on no record, by what was done to their process."""


def account(one: Cluster, ledger: Ledger) -> ClusterAccount:
    """Compare what was accepted, what is on record and what the receivers got."""
    requests = one.received()
    balance = ClusterAccount(ledger, len(requests))
    received: dict[_Key, list[Request]] = defaultdict(list)
    for request in requests:
        received[request.path, request.event_id].append(request)
    for path, subscription_id in one.subscription_ids.items():
        wanted = {
            event_id
            for event_id in ledger.accepted
            if ledger.begun[event_id].event_type == one.types_of[path]
        }
        for delivery in pages(one.server, "/deliveries", subscriptionId=subscription_id):
            event_id = delivery["eventId"]
            balance.delivery_ids[path, event_id] = delivery["deliveryId"]
            _Explaining(one, balance).explain(received[path, event_id], delivery)
            if delivery["status"] == "delivered" and _is_taken(received[path, event_id]):
                wanted.discard(event_id)
        balance.lost += [f"{event_id} has not come to {path}" for event_id in sorted(wanted)]
    balance.unexplained += _out_of_order(requests)
    balance.unexplained += too_fast(one, requests, balance.delivery_ids, balance.strays)
    balance.unexplained += _sent_by_the_fenced(one, requests, balance)
    return balance


def _is_taken(requests: list[Request]) -> bool:
    return any(one.status == 200 for one in requests)


class _Explaining:
    """Finds the reason for each request of a delivery that came after it had been taken."""

    def __init__(self, one: Cluster, balance: ClusterAccount) -> None:
        self._one = one
        self._balance = balance

    def explain(self, requests: list[Request], delivery: Any) -> None:
        if len(requests) == delivery["attemptCount"] == 1:
            return
        path = f"/deliveries/{delivery['deliveryId']}"
        attempts = self._one.server.call("GET", path)["attempts"]
        balance = self._balance
        if len(attempts) != delivery["attemptCount"]:
            balance.unexplained.append(f"attempts of {delivery} are missing: {attempts}")
        on_record = {int(each["responseBody"]) for each in attempts if each["responseBody"]}
        if not on_record <= {each.number for each in requests}:
            balance.unexplained.append(f"an attempt is on record that nobody got: {attempts}")
        unanswered = [each for each in attempts if not each["responseBody"]]
        reasons = {
            each.number: self._fate(each, requests, unanswered)
            for each in requests
            if each.number not in on_record
        }
        taken: Request | None = None
        for request in requests:
            if taken is not None:
                # It came because nobody knew of the one before it, or it was itself left behind.
                reason = reasons.get(taken.number) or reasons.get(request.number)
                balance.duplicates[reason or "none"] += 1
                if reason is None:
                    balance.unexplained.append(f"{request} repeats {taken} of {delivery}")
            if request.status == 200:
                taken = request

    def _fate(self, request: Request, requests: list[Request], unanswered: list[Any]) -> str | None:
        balance = self._balance
        for attempt in unanswered:
            # A receiver that is slow may read it long after everybody has given it up.
            if ms_of(attempt["startedAt"]) <= request.at_ms + _CLOCK_MS:
                unanswered.remove(attempt)
                balance.strays.add(request.number)
                return LATE
        others = [each for each in requests if self._is_by_another(each, request)]
        if not others:
            balance.unexplained.append(f"{request} is not on record, nor anybody's after it")
            return None
        if any(self._was_left_behind(request, freeze) for freeze in self._one.freezes):
            balance.left_behind.add(request.number)
            return self._off_record(request, "frozen", W5)
        for trouble in self._one.troubles:
            if _explains(trouble, request, others[-1]):
                is_killed = trouble.kind == "killed"
                if is_killed:
                    before_ms = trouble.until_ms - request.at_ms
                    balance.w4_ms_max = max(balance.w4_ms_max, before_ms)
                was_answered = request.answered_ms < trouble.from_ms
                return self._off_record(
                    request, trouble.kind, W4 if is_killed and was_answered else W5
                )
        balance.unexplained.append(f"{request} is not on record: {requests}")
        return None

    def _is_by_another(self, each: Request, request: Request) -> bool:
        """Whether a request is of another owner; a worker that was frozen in between is one."""
        return each.sender != request.sender or any(
            freeze.process == request.sender and request.at_ms <= freeze.resumed_ms <= each.at_ms
            for freeze in self._one.freezes
        )

    def _was_left_behind(self, request: Request, freeze: Freeze) -> bool:
        """Whether it was on its way when its worker was stopped, and came when that went on."""
        begun_ms = self._balance.ledger.begun[request.event_id].at_ms
        return (
            request.sender == freeze.process
            and freeze.taken_over_ms <= request.at_ms
            and begun_ms < freeze.stopped_ms
        )

    def _off_record(self, request: Request, kind: str, reason: str) -> str:
        self._balance.strays.add(request.number)
        self._balance.off_record_by[kind] += 1
        self._balance.off_record[reason] += 1
        return reason


def _explains(trouble: Trouble, request: Request, other: Request) -> bool:
    """Whether a request may be on no record because of what was done to its process.

    Somebody else sent the delivery again afterwards.
    """
    if request.at_ms > trouble.until_ms + _CLOCK_MS or other.at_ms < trouble.from_ms - _CLOCK_MS:
        return False
    if trouble.process == 0:
        return request.answered_ms > trouble.from_ms - _CLOCK_MS
    return request.sender in (0, trouble.process)


def _sent_by_the_fenced(
    one: Cluster, requests: list[Request], balance: ClusterAccount
) -> Iterator[str]:
    """What a worker sent while others had all its shards, but for what was on its way before."""
    for freeze in one.freezes:
        for each in requests:
            if (
                each.sender == freeze.process
                and freeze.taken_over_ms <= each.at_ms < freeze.owned_nothing_ms
                and each.number not in balance.left_behind
            ):
                yield f"{each} was sent by a worker that was fenced: {freeze}"


def _out_of_order(requests: list[Request]) -> Iterator[str]:
    """Where the first receipts of a key go backwards."""
    newest: dict[_Key, int] = {}
    seen: set[_Key] = set()
    for request in requests:
        if request.path.startswith(receiver.ORDERED) and (
            (request.path, request.event_id) not in seen
        ):
            seen.add((request.path, request.event_id))
            publisher, number = request.event_id.split("-")
            lane = request.path, publisher
            if int(number) < newest.get(lane, -1):
                yield f"{request} came after {newest[lane]}"
            newest[lane] = int(number)
