"""Publishers that go on whatever happens: each repeats an event until it has its 202."""

import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import httpx2

ANSWER_SECONDS = 2.0
"""For how long a publisher waits for its answer."""
_THINK_SECONDS = 0.02
_WAIT_SECONDS = 0.05


class Stream(NamedTuple):
    """What is published, and how fast: by default as fast as it goes, until told to stop."""

    event_types: Sequence[str] = ("order.shipped",)
    per_second: float | None = None
    events: int | None = None
    data: str = ""


class Published(NamedTuple):
    """What a publisher began to publish, and when."""

    event_type: str
    at_ms: int


@dataclass
class Ledger:
    """What was accepted, and what became of publishes that had to be repeated."""

    accepted: list[str] = field(default_factory=list)
    begun: dict[str, Published] = field(default_factory=dict)
    """Every event, accepted or not."""
    repeated_before_commit: int = 0
    """W1: the first try left nothing behind."""
    repeated_after_commit: int = 0
    """W2: the first try was accepted, its answer lost."""
    refused: int = 0
    """Answers 503 and 429, each of which says when to come again."""
    repeated_after_refusal: int = 0
    """W3: the answer was 503, and the event was accepted all the same."""
    faults: list[str] = field(default_factory=list)


class Publishers:
    """A few of them, each with an ordering key of its own and its events numbered from 0.

    Whoever gets no 202 from one of the servers tries the next one.
    """

    def __init__(
        self, urls: Sequence[str], *, count: int, seed: int, stream: Stream | None = None
    ) -> None:
        self.ledger = Ledger()
        self._urls = urls
        self._stream = stream or Stream()
        self._is_over = threading.Event()
        self._noting = threading.Lock()
        self._threads = [
            threading.Thread(target=self._publish, args=(number, random.Random(seed + number)))
            for number in range(count)
        ]

    @property
    def are_done(self) -> bool:
        """Whether everything that was to be published is accepted."""
        return not any(one.is_alive() for one in self._threads)

    def start(self) -> None:
        for one in self._threads:
            one.start()

    def stop(self) -> Ledger:
        """Stop; an event that has no 202 by now is given up, and counts as not accepted."""
        self._is_over.set()
        for one in self._threads:
            one.join()
        assert self.ledger.faults == []
        return self.ledger

    def _publish(self, publisher: int, draw: random.Random) -> None:
        stream, publishers = self._stream, len(self._threads)
        mine = count() if stream.events is None else range(publisher, stream.events, publishers)
        urls = deque(self._urls)
        urls.rotate(-publisher)
        with httpx2.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:
            for number, _ in enumerate(mine):
                if self._is_over.is_set():
                    return
                began = time.monotonic()
                event_type = draw.choice(stream.event_types)
                self._until_accepted(client, urls, f"e{publisher}-{number}", event_type)
                if stream.per_second is None:
                    time.sleep(draw.uniform(0, _THINK_SECONDS))
                else:
                    due = began + publishers / stream.per_second
                    time.sleep(max(0.0, due - time.monotonic()))

    def _until_accepted(
        self, client: httpx2.Client, urls: deque[str], event_id: str, event_type: str
    ) -> None:
        body = {
            "eventType": event_type,
            "data": {"text": self._stream.data},
            "eventId": event_id,
            "orderingKey": f"key-{event_id.partition('-')[0]}",
        }
        self.ledger.begun[event_id] = Published(event_type, round(time.time() * 1_000))
        is_answer_lost = was_refused = False
        while not self._is_over.is_set():
            try:
                answer = client.post(f"{urls[0]}/events", json=body)
            except httpx2.TransportError:
                is_answer_lost = True
                urls.rotate(-1)
                time.sleep(_WAIT_SECONDS)
                continue
            if answer.status_code == 202:
                is_replay = "idempotent-replay" in answer.headers
                self._note(event_id, is_answer_lost, was_refused, is_replay)
                return
            if answer.status_code not in (429, 503) or "retry-after" not in answer.headers:
                self.ledger.faults.append(f"{answer.status_code} {answer.headers} {answer.text}")
                return
            was_refused = True
            urls.rotate(-1)
            with self._noting:
                self.ledger.refused += 1
            time.sleep(_WAIT_SECONDS)

    def _note(
        self, event_id: str, is_answer_lost: bool, was_refused: bool, is_replay: bool
    ) -> None:
        ledger = self.ledger
        with self._noting:
            ledger.accepted.append(event_id)
            if is_answer_lost and is_replay:
                ledger.repeated_after_commit += 1
            elif is_answer_lost:
                ledger.repeated_before_commit += 1
            elif was_refused and is_replay:
                ledger.repeated_after_refusal += 1
            elif is_replay:
                ledger.faults.append(f"{event_id} was new, and is said to be a repeat")
