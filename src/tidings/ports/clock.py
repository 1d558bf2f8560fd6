"""Time, chance and ids: what the rules take as arguments and the program must get somewhere."""

from typing import Protocol

from tidings.core.identifier import Kind


class Clock(Protocol):
    """The time. The real one is the computer's; the simulation has its own."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 in UTC."""
        ...

    def monotonic_ms(self) -> float:
        """Milliseconds since some moment, never going back: for durations."""
        ...

    def boot_ms(self) -> float:
        """The same, but it also counts the time in which the whole machine sleeps: for leases."""
        ...


class Chance(Protocol):
    """Random draws and new ids. The simulation draws both from its seed."""

    def jitter(self) -> float:
        """A number from 0 up to, but not including, 1."""
        ...

    def new_id(self, kind: Kind, at_ms: int) -> str:
        """A new id that sorts by time."""
        ...

    def key_bytes(self, count: int) -> bytes:
        """Random bytes fit for a cryptographic key."""
        ...
