"""Receivers: programs behind callback URLs that behave well for a while, and badly for another.

A receiver is a host. Its mood is drawn for minutes or days at a time; what it does with one request
is drawn within that mood. Once healed, every receiver answers 200 at once.
"""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from simulation.chance import WORLD_BEGINS_MS
from tidings.core.attempt import Answer, ErrorClass

_SUCCESSES: Final = (200, 200, 200, 201, 202, 204, 299)
_FAILURES: Final = (400, 401, 403, 404, 409, 422, 500, 500, 501, 599, 100, 199, 600, 999)
_THROTTLES: Final = (429, 429, 502, 503, 503, 504)
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOOD_SECONDS: Final = (60.0, 40 * 3_600.0)
_NEVER_ANSWERED: Final = 1e9


@dataclass(frozen=True, slots=True)
class Reaction:
    """What becomes of one request, in seconds after it was sent.

    `arrives_after` None: the receiver never sees it. `said` is the status that it answers, and
    `answer` what the process gets at `answered_after`.
    """

    arrives_after: float | None
    answered_after: float
    answer: Answer

    @property
    def said(self) -> int | None:
        """The status that the receiver answers."""
        return self.answer.status_code


class Receiver:
    """One host and its moods."""

    def __init__(self, host: str, moods: tuple[str, ...], draws: random.Random) -> None:
        self.host = host
        self.is_healed = False
        self._moods = moods
        self._draws = draws
        self._mood = "well"
        self._mood_until = 0.0

    @property
    def is_always_well(self) -> bool:
        """Whether it never behaves in any other way."""
        return self._moods == ("well",)

    def mood(self, now: float) -> str:
        """How it behaves at this moment."""
        if self.is_healed:
            return "well"
        if self._moods[0] != "well":
            return self._moods[0]
        while now >= self._mood_until:
            low, high = _MOOD_SECONDS
            self._mood = self._draws.choice(self._moods)
            if self._draws.random() < 0.4:
                self._mood = "well"
            self._mood_until += low * (high / low) ** self._draws.random()
        return self._mood

    def react(self, now: float) -> Reaction:
        """What it does with a request that is sent now."""
        mood = self.mood(now)
        arrives = self._draws.uniform(0.002, 0.05)
        if mood == "flapping":
            mood = self._draws.choice(("well", "failing", "resetting"))
        reaction: Reaction = getattr(self, f"_{mood}")(arrives)
        return reaction

    # One for each mood.

    def _well(self, arrives: float) -> Reaction:
        takes = self._draws.uniform(0.001, 0.1)
        return Reaction(arrives, arrives + takes, Answer(self._draws.choice(_SUCCESSES)))

    def _slow(self, arrives: float) -> Reaction:
        takes = self._draws.uniform(1.0, 20.0)
        return Reaction(arrives, arrives + takes, Answer(self._draws.choice(_SUCCESSES)))

    def _sluggish(self, arrives: float) -> Reaction:
        takes = self._draws.uniform(0.6, 0.9)
        return Reaction(arrives, arrives + takes, Answer(200))

    def _hanging(self, arrives: float) -> Reaction:
        return Reaction(arrives, _NEVER_ANSWERED, Answer())

    def _failing(self, arrives: float) -> Reaction:
        answer = Answer(self._draws.choice(_FAILURES), retry_after=self._retry_after(0.1))
        return Reaction(arrives, arrives + self._draws.uniform(0.001, 2.0), answer)

    def _throttling(self, arrives: float) -> Reaction:
        answer = Answer(self._draws.choice(_THROTTLES), retry_after=self._retry_after(0.6))
        return Reaction(arrives, arrives + 0.01, answer)

    def _redirecting(self, arrives: float) -> Reaction:
        return Reaction(arrives, arrives + 0.01, Answer(self._draws.choice(_REDIRECTS)))

    def _gone(self, arrives: float) -> Reaction:
        status = 410 if self._draws.random() < 0.3 else 404
        return Reaction(arrives, arrives + 0.01, Answer(status))

    def _babbling(self, arrives: float) -> Reaction:
        return Reaction(arrives, arrives + 0.01, Answer(error_class=ErrorClass.PROTOCOL))

    def _resetting(self, arrives: float) -> Reaction:
        # The receiver may have worked on it before the connection broke.
        seen = arrives if self._draws.random() < 0.5 else None
        return Reaction(seen, arrives + 0.01, Answer(error_class=ErrorClass.CONNECTION_RESET))

    def _refusing(self, arrives: float) -> Reaction:
        return Reaction(None, arrives, Answer(error_class=ErrorClass.CONNECTION_REFUSED))

    def _nameless(self, _arrives: float) -> Reaction:
        takes = self._draws.choice((0.01, 5.0))
        return Reaction(None, takes, Answer(error_class=ErrorClass.DNS))

    def _untrusted(self, arrives: float) -> Reaction:
        return Reaction(None, arrives, Answer(error_class=ErrorClass.TLS))

    def _forbidden(self, _arrives: float) -> Reaction:
        return Reaction(None, 0.001, Answer(error_class=ErrorClass.BLOCKED_ADDRESS))

    def _retry_after(self, share: float) -> str | None:
        """A Retry-After of every kind: sensible, huge, past, a date, nonsense."""
        draws = self._draws
        if draws.random() >= share:
            return None
        date = datetime.fromtimestamp(WORLD_BEGINS_MS / 1_000, UTC) + timedelta(
            hours=draws.uniform(-10, 60)
        )
        return draws.choice(
            (
                str(draws.randint(1, 30)),
                str(draws.randint(60, 7_200)),
                "0",
                "86400",
                "999999999",
                "99999999999999999999",
                date.strftime("%a, %d %b %Y %H:%M:%S GMT"),
                date.strftime("%a, %d %b %Y %H:%M:%S"),
                "-5",
                "1.5",
                "soon",
                "",
                "Wed, 99 Foo 2025 99:99:99 GMT",
                "\u0664\u0662",
            )
        )


def losing_the_answer(reaction: Reaction) -> Reaction:
    """The same, but the answer never reaches us."""
    return replace(reaction, answer=Answer(error_class=ErrorClass.CONNECTION_RESET))


def failing_on_our_side() -> Reaction:
    """Our own proxy cannot take the request."""
    broken = Answer(error_class=ErrorClass.INTERNAL, error_detail="the proxy cannot be reached")
    return Reaction(None, 0.01, broken)


def within(reaction: Reaction, seconds: float) -> Reaction:
    """What comes of it within a deadline."""
    if reaction.answered_after <= seconds:
        return reaction
    late = Answer(error_class=ErrorClass.TIMEOUT)
    return replace(reaction, answer=late, answered_after=seconds)
