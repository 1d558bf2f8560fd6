"""A clock that goes like the computer's, and jumps or stands when a test wants it to."""

from tidings.system import SystemClock


class JumpingClock(SystemClock):
    """The computer's clock, put forward by as much as a test wants.

    `stands_at_ms` is what the monotonic clock says instead, as if everything took no time.
    """

    def __init__(self) -> None:
        self.ahead_ms = 0
        self.monotonic_ahead_ms = 0.0
        self.boot_ahead_ms = 0.0
        self.stands_at_ms: float | None = None

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms

    def monotonic_ms(self) -> float:
        """See `Clock`."""
        if self.stands_at_ms is not None:
            return self.stands_at_ms
        return super().monotonic_ms() + self.monotonic_ahead_ms

    def boot_ms(self) -> float:
        """See `Clock`."""
        return super().boot_ms() + self.boot_ahead_ms
