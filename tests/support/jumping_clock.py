"""A clock that goes like the computer's and jumps when a test wants it to."""

from tidings.system import SystemClock


class JumpingClock(SystemClock):
    """The computer's clock, put forward by as much as a test wants."""

    def __init__(self) -> None:
        self.ahead_ms = 0
        self.monotonic_ahead_ms = 0.0
        self.boot_ahead_ms = 0.0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms

    def monotonic_ms(self) -> float:
        """See `Clock`."""
        return super().monotonic_ms() + self.monotonic_ahead_ms

    def boot_ms(self) -> float:
        """See `Clock`."""
        return super().boot_ms() + self.boot_ahead_ms
