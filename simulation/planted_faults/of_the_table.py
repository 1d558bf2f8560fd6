"""Defects in the life of a delivery: one for each row of the transition table."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from simulation.planted_faults.planting import PlantedFault, around, fault, instead
from tidings.core.delivery import TRANSITIONS, DeliveryStatus, Turn
from tidings.engine import dispatcher
from tidings.storage.sql import rounds
from tidings.storage.sqlite.statements import SqliteConnection

_PENDING = DeliveryStatus.PENDING
_DELIVERED = DeliveryStatus.DELIVERED
_DEAD = DeliveryStatus.DEAD_LETTERED
_CANCELLED = DeliveryStatus.CANCELLED


def _ends_wrongly(turn: Turn, wrongly: DeliveryStatus) -> PlantedFault:
    return fault(
        f"{turn} ends as {wrongly}",
        f"the turn {turn} leads to {wrongly}",
        instead(TRANSITIONS, (_PENDING, turn), wrongly),
    )


def _forgetting_attempts(after_attempt: Any) -> Any:
    def forgetful(*arguments: Any, **members: Any) -> Any:
        decision = after_attempt(*arguments, **members)
        if decision.ending is not None:
            return decision
        waiting = msgspec.structs.replace(decision.delivery, schedule_position=0)
        return msgspec.structs.replace(decision, delivery=waiting)

    return forgetful


def _keeping_the_end(execute_many: Any) -> Any:
    def keep(db: Any, sql: str, *arguments: Any, **options: Any) -> Any:
        is_removal = sql.startswith("DELETE FROM finished_delivery WHERE (tenant_id")
        return [] if is_removal else execute_many(db, sql, *arguments, **options)

    return keep


def _forgetting_the_round(finished_of: Any) -> Any:
    def forgetful(row: Any) -> Any:
        found = finished_of(row)
        if found.status is not _DELIVERED:
            return found
        return msgspec.structs.replace(found, round=found.round - 1)

    return forgetful


_ENDS_WRONGLY: Final[Mapping[Turn, DeliveryStatus]] = {
    Turn.ATTEMPT_DELIVERED: _CANCELLED,
    Turn.LAST_ATTEMPT_FAILED: _DELIVERED,
    Turn.RECEIVER_GONE: _CANCELLED,
    Turn.SUBSCRIPTION_DISABLED: _CANCELLED,
    Turn.SUBSCRIPTION_DELETED: _DELIVERED,
    Turn.HELD_TOO_LONG: _DELIVERED,
    Turn.EXPIRED: _DELIVERED,
    Turn.CANCELLED: _DELIVERED,
    Turn.DATA_ERASED: _DELIVERED,
}
FAULT_OF_ROW: Final[Mapping[tuple[DeliveryStatus, Turn], PlantedFault]] = {
    **{(_PENDING, turn): _ends_wrongly(turn, wrongly) for turn, wrongly in _ENDS_WRONGLY.items()},
    (_PENDING, Turn.ATTEMPT_FAILED): fault(
        "attempt_failed starts over",
        "a failed attempt does not use up the schedule",
        around(dispatcher, "after_attempt", _forgetting_attempts),
    ),
    (_DEAD, Turn.DISCARDED): fault(
        "discarded becomes delivered",
        "discarding a dead letter makes it look delivered",
        instead(TRANSITIONS, (_DEAD, Turn.DISCARDED), _DELIVERED),
    ),
    (_DEAD, Turn.REPLAYED): fault(
        "a dead letter keeps its end when it is replayed",
        "the finished delivery stays in the log beside its new round",
        around(SqliteConnection, "execute_many", _keeping_the_end),
    ),
    (_DELIVERED, Turn.REPLAYED): fault(
        "delivered ones are replayed in their old round",
        "the replay of a delivered delivery begins no new round",
        around(rounds, "finished_of", _forgetting_the_round),
    ),
}
"""One defect for each row of the transition table."""
TABLE_FAULTS: Final = (
    *FAULT_OF_ROW.values(),
    fault(
        "the cancelled can be replayed",
        "a replay begins a new round of a cancelled delivery",
        instead(TRANSITIONS, (_CANCELLED, Turn.REPLAYED), _PENDING),
    ),
)
