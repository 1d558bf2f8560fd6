"""Publishers that go on whatever happens: each repeats an event until it has its 202."""

import random
import threading
import time
from dataclasses import dataclass, field

import httpx2

_TIMEOUT_SECONDS = 2.0
_THINK_SECONDS = 0.02
_WAIT_SECONDS = 0.05


@dataclass
class Ledger:
    """What was accepted, and what became of publishes that had to be repeated."""

    accepted: list[str] = field(default_factory=list)
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
    """A few of them, each with an ordering key of its own and its events numbered from 0."""

    def __init__(self, url: str, *, count: int, seed: int, data: str = "") -> None:
        self.ledger = Ledger()
        self._url = url
        self._data = {"text": data}
        self._is_over = threading.Event()
        self._noting = threading.Lock()
        self._threads = [
            threading.Thread(target=self._publish, args=(number, random.Random(seed + number)))
            for number in range(count)
        ]

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
        with httpx2.Client(base_url=self._url, timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            number = 0
            while not self._is_over.is_set():
                if self._until_accepted(client, f"e{publisher}-{number}", f"key-{publisher}"):
                    number += 1
                time.sleep(draw.uniform(0, _THINK_SECONDS))

    def _until_accepted(self, client: httpx2.Client, event_id: str, key: str) -> bool:
        body = {
            "eventType": "order.shipped",
            "data": self._data,
            "eventId": event_id,
            "orderingKey": key,
        }
        is_answer_lost = was_refused = False
        while not self._is_over.is_set():
            try:
                answer = client.post("/events", json=body)
            except httpx2.TransportError:
                is_answer_lost = True
                time.sleep(_WAIT_SECONDS)
                continue
            if answer.status_code == 202:
                is_replay = "idempotent-replay" in answer.headers
                self._note(event_id, is_answer_lost, was_refused, is_replay)
                return True
            if answer.status_code not in (429, 503) or "retry-after" not in answer.headers:
                self.ledger.faults.append(f"{answer.status_code} {answer.headers} {answer.text}")
                return False
            was_refused = True
            with self._noting:
                self.ledger.refused += 1
            time.sleep(_WAIT_SECONDS)
        return False

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
