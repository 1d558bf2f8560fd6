"""Deliberate defects, one at a time: each must be noticed by some checker, or it proves nothing."""

from typing import Final

from simulation.planted_faults.of_contents import CONTENT_FAULTS
from simulation.planted_faults.of_sending import SENDING_FAULTS
from simulation.planted_faults.of_the_engine import ENGINE_FAULTS
from simulation.planted_faults.of_the_rules import RULE_FAULTS
from simulation.planted_faults.of_the_table import TABLE_FAULTS
from simulation.planted_faults.planting import PlantedFault

PLANTED_FAULTS: Final[tuple[PlantedFault, ...]] = (
    *TABLE_FAULTS,
    *RULE_FAULTS,
    *ENGINE_FAULTS,
    *SENDING_FAULTS,
    *CONTENT_FAULTS,
)

__all__ = ["PLANTED_FAULTS", "PlantedFault"]
