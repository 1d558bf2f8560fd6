"""The promises, one in each module; all of them are watched in every world."""

from typing import Final

from simulation.checkers.attempts_in_policy import AttemptsInPolicy
from simulation.checkers.attempts_on_record import AttemptsOnRecord
from simulation.checkers.bodies import Bodies
from simulation.checkers.bounds import Bounds
from simulation.checkers.checker import Checker
from simulation.checkers.delivered_is_true import DeliveredIsTrue
from simulation.checkers.duplicates import Duplicates
from simulation.checkers.fairness import Fairness
from simulation.checkers.idempotency import Idempotency
from simulation.checkers.lives import Lives
from simulation.checkers.nothing_lost import NothingLost
from simulation.checkers.one_delivery_each import OneDeliveryEach
from simulation.checkers.open_health import OpenHealth
from simulation.checkers.ordering import Ordering
from simulation.checkers.quotas import Quotas
from simulation.checkers.rates import Rates
from simulation.checkers.signatures import Signatures
from simulation.checkers.silence import Silence
from simulation.checkers.spacing import Spacing

CHECKERS: Final[tuple[type[Checker], ...]] = (
    OneDeliveryEach,
    NothingLost,
    DeliveredIsTrue,
    Duplicates,
    Ordering,
    Silence,
    Bounds,
    Fairness,
    OpenHealth,
    Rates,
    Signatures,
    Lives,
    Idempotency,
    Bodies,
    Quotas,
    Spacing,
    AttemptsInPolicy,
    AttemptsOnRecord,
)

__all__ = ["CHECKERS", "Checker"]
