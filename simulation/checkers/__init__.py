"""The promises, one in each module; all of them are watched in every world."""

from typing import Final

from simulation.checkers.checker import Checker
from simulation.checkers.delivered_is_true import DeliveredIsTrue
from simulation.checkers.nothing_lost import NothingLost
from simulation.checkers.one_delivery_each import OneDeliveryEach

CHECKERS: Final[tuple[type[Checker], ...]] = (
    OneDeliveryEach,
    NothingLost,
    DeliveredIsTrue,
)

__all__ = ["CHECKERS", "Checker"]
