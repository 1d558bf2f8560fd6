"""Defects that send twice, or that let some go before others."""

from typing import Any, Final

import msgspec

from simulation.planted_faults.planting import around, fault, instead
from tidings.core.delivery import DeliveryStatus
from tidings.core.scheduler import Scheduler
from tidings.core.slots import Crowd
from tidings.engine.sending import Sender
from tidings.storage.sql import queue


def _sending_twice(next_sends: Any) -> Any:
    def twice(scheduler: Any, now_ms: int) -> Any:
        sends = next_sends(scheduler, now_ms)
        return [*sends, *sends[:1]] if len(sends) > 1 else sends

    return twice


def _sending_again_after_success(send: Any) -> Any:
    async def again(sender: Any, *arguments: Any, **members: Any) -> Any:
        answer = await send(sender, *arguments, **members)
        if answer.status_code == 202:
            return await send(sender, *arguments, **members)
        return answer

    return again


def _keeping_delivered_rows(record_results: Any) -> Any:
    def keep(tx: Any, sealer: Any, outcomes: Any) -> Any:
        kept = [_without_its_end(one) for one in outcomes]
        recorded = record_results(tx, sealer, kept)
        # Those who listen hear what they expect to hear.
        tx.recorded[-len(kept) :] = zip(outcomes, recorded, strict=True)
        return recorded

    return keep


def _without_its_end(outcome: Any) -> Any:
    is_kept = outcome.attempt.started_at_ms % 4 == 0
    if is_kept and outcome.ending and outcome.ending.status is DeliveryStatus.DELIVERED:
        return msgspec.structs.replace(outcome, ending=None)
    return outcome


def _charging_nothing(step: Any) -> Any:
    def free(scheduler: Any, *arguments: Any, **members: Any) -> Any:
        shares = [one for two in scheduler.endpoints() for one in (two.share, two.tenant)]
        used_ms = [share.used_ms for share in shares]
        answer = step(scheduler, *arguments, **members)
        for share, before_ms in zip(shares, used_ms, strict=True):
            share.used_ms = before_ms
        return answer

    return free


SENDING_FAULTS: Final = (
    fault(
        "a turn sends a row twice",
        "the first row of a turn is sent twice at once",
        around(Scheduler, "next_sends", _sending_twice),
    ),
    fault(
        "202 is asked again",
        "a request that was answered by 202 is made once more",
        around(Sender, "send", _sending_again_after_success),
    ),
    fault(
        "delivered rows stay in the queue",
        "a success is recorded, and its row is found again by the next start",
        around(queue, "record_results", _keeping_delivered_rows),
    ),
    fault(
        "slot time costs nothing",
        "the scheduler counts turns, and not the slot time that they take",
        around(Scheduler, "_take_off", _charging_nothing),
        around(Scheduler, "attempt_finished", _charging_nothing),
    ),
    fault(
        "the slow may use all the slots",
        "endpoints that answer slowly, or are new, leave no slots to the fast",
        instead(Crowd, "free_for", lambda crowd, _speed: crowd._bound - len(crowd)),
    ),
)
