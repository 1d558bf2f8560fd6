"""What every checker is: one promise, the facts that it follows, and its judgement at the end."""

from collections.abc import Mapping
from typing import ClassVar, NoReturn

from simulation import facts
from simulation.journal import BrokenPromise, Listener
from simulation.record import Record


class Checker:
    """Judges one promise by the record. A new one is made for each world."""

    promise: ClassVar[str] = ""

    def __init__(self, record: Record) -> None:
        self.record = record

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """The facts that it follows while the world goes on."""
        return {}

    def at_rest(self) -> None:
        """Judge the end of the second phase, when everything should have ended."""

    def broken(self, detail: str) -> NoReturn:
        """Say that the promise is broken, and how."""
        raise BrokenPromise(self.promise, detail)

    def expect(self, holds: object, detail: str) -> None:
        """Say that the promise is broken unless something holds."""
        if not holds:
            self.broken(detail)
