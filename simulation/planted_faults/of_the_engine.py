"""Defects in the engine, the verbs and the store."""

from typing import Any, Final

import msgspec

from simulation.planted_faults.planting import around, fault, instead
from tidings.core.due_window import DueWindow
from tidings.core.event import Accepted
from tidings.core.scheduler import Scheduler
from tidings.engine.bodies import Bodies
from tidings.engine.dispatcher import Dispatcher
from tidings.engine.recorder import Recorder
from tidings.engine.replaying import Replaying
from tidings.operations import publish
from tidings.ports.store import StoreUnavailable
from tidings.storage.sql import events, queue, results, transaction
from tidings.storage.sql.access import Writer
from tidings.storage.sql.queue import SqlQueue
from tidings.storage.sql.retention import SqlRetention


def _dropping_each_tenth(add: Any) -> Any:
    def drop(recorder: Any, result: Any) -> None:
        if result.attempt.started_at_ms % 10:
            add(recorder, result)

    return drop


def _recording_nothing_of_success(record_results: Any) -> Any:
    def record(tx: Any, sealer: Any, outcomes: Any) -> Any:
        return record_results(tx, sealer, [one for one in outcomes if one.ending is None])

    return record


def _accepting_unseen(accept_events: Any) -> Any:
    async def accept(store: Any, batch: Any, **members: Any) -> Any:
        try:
            return await accept_events(store, batch, **members)
        except StoreUnavailable:
            return [Accepted(one.event_id, one.event_type, one.occurred_at, 0) for one in batch]

    return accept


def _mixing_up(cached: Any) -> Any:
    def mix(bodies: Any, event_seq: int) -> Any:
        found = cached(bodies, event_seq)
        others = list(bodies._cached.values())
        if found is None or len(others) < 3:
            return found
        return msgspec.structs.replace(found, body=others[0].body)

    return mix


def _expiring_early(expire: Any) -> Any:
    async def early(store: Any, *, accepted_before_ms: int, **members: Any) -> Any:
        return await expire(store, accepted_before_ms=accepted_before_ms + 40_000_000, **members)

    return early


def _telling_no_arrivals(tell: Any) -> Any:
    def silent(writer: Any, changes: Any) -> None:
        tell(writer, msgspec.structs.replace(changes, arrived=changes.arrived[:1]))

    return silent


def _believing_in_the_commit(run: Any) -> Any:
    def believe(transactions: Any, writes: Any) -> Any:
        written = run(transactions, writes)
        for one in written:
            if isinstance(one.fault, StoreUnavailable) and not isinstance(one.value, list):
                one.fault = None
        return written

    return believe


def _waking_late(wake: Any) -> Any:
    def late(dispatcher: Any) -> None:
        dispatcher._loop.call_later(10.0, wake, dispatcher)

    return late


async def _finding_no_rows(_store: Any) -> list[str]:
    return []


ENGINE_FAULTS: Final = (
    fault(
        "some results are dropped",
        "what came back is not always recorded",
        around(Recorder, "add", _dropping_each_tenth),
    ),
    fault(
        "endings are not recorded",
        "the results that end a delivery are left out",
        around(queue, "record_results", _recording_nothing_of_success),
    ),
    fault(
        "202 without a commit",
        "a publisher hears 202 though the transaction failed",
        around(events.SqlEvents, "accept_events", _accepting_unseen),
    ),
    fault(
        "bodies are mixed up",
        "a receiver gets the body of another event",
        around(Bodies, "cached", _mixing_up),
    ),
    fault(
        "the engine wakes late",
        "new deliveries wait for ten seconds before anybody looks at them",
        around(Dispatcher, "wake", _waking_late),
    ),
    fault(
        "retries are forgotten",
        "what waits for its due time in memory is lost",
        instead(DueWindow, "push", lambda _window, _delivery: None),
    ),
    fault(
        "ends are not heard",
        "a delivery that somebody ended is sent all the same",
        instead(Scheduler, "ended", lambda _scheduler, _deliveries, _now_ms: None),
    ),
    fault(
        "followers are not handed over",
        "nobody sends the next delivery of an ordering key",
        instead(results, "next_in_lane", lambda _db, _ended: None),
    ),
    fault(
        "a restart finds nothing to do",
        "unfinished deliveries are not looked for at the start",
        instead(SqlQueue, "list_subscriptions_with_deliveries", _finding_no_rows),
    ),
    fault(
        "replays are not begun",
        "the engine does not hear of a new replay in bulk",
        instead(Replaying, "committed", lambda _replaying, _changes: None),
    ),
    fault(
        "content does not matter",
        "another event under a taken id is answered as a repeat",
        instead(publish, "content_hash", lambda *_parts: b"the same"),
    ),
    fault(
        "repeats are not recognised",
        "an event that was accepted before is stored again",
        instead(events.Acceptance, "_look_up", lambda _acceptance, _events: None),
    ),
    fault(
        "deliveries expire early",
        "retention ends deliveries before their day",
        around(SqlRetention, "expire_deliveries", _expiring_early),
    ),
    fault(
        "arrivals are not told",
        "the engine hears of one new row of each commit",
        around(Writer, "tell", _telling_no_arrivals),
    ),
    fault(
        "finished deliveries vanish",
        "a delivery leaves the queue and is not put into the log",
        instead(results, "insert_finished", lambda _db, _rows: None),
    ),
    fault(
        "health is not stored",
        "a restart forgets that an endpoint is open or held",
        instead(results, "write_health", lambda _db, _healths: None),
    ),
    fault(
        "numbers repeat",
        "two rows of one millisecond get the same place in the order",
        instead(transaction, "next_seq", lambda _last, now_ms: now_ms << 20),
    ),
    fault(
        "a failed commit is believed",
        "a write whose commit failed is answered as done",
        around(transaction.Transactions, "run", _believing_in_the_commit),
    ),
)
