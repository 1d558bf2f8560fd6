"""Every request is signed with the secrets that are live at that moment, and with no other."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from tidings.signing import key_of_secret, sign

_DISTURBANCES = frozenset({"clock_forward", "clock_back"})


@dataclass
class _Secret:
    """A secret as its subscriber knows it. Between the two ends it may sign or not."""

    text: str
    surely_ends_ms: float = inf
    maybe_ends_ms: float = inf
    is_sure: bool = False


class Signatures(Checker):
    """Verifies each token as the receiver would, by what its subscriber was told."""

    promise: ClassVar[str] = "signed with the live secrets"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._first: dict[str, str] = {}
        self._secrets: defaultdict[str, list[_Secret]] = defaultdict(list)
        self._asking: dict[str, int] = defaultdict(int)
        self._asked_ms: dict[str, int] = {}
        self._stepped_at = -1.0
        self._unclear: set[str] = set()
        return {
            facts.Asked: self._client_asked,
            facts.Told: self._client_told,
            facts.Disturbed: self._disturbed,
            facts.Sent: self._sent,
        }

    def _disturbed(self, fact: facts.Disturbed) -> None:
        if fact.fault in _DISTURBANCES:
            self._stepped_at = self.record.now
        if fact.fault == "clock_back":
            # What has ended does not have to live again because the clock is put back behind it.
            now_ms = self.record.clock.now_ms()
            for known in self._secrets.values():
                for one in known:
                    if one.maybe_ends_ms <= now_ms:
                        one.maybe_ends_ms = -inf

    def _client_asked(self, fact: facts.Asked) -> None:
        call = fact.call
        if call.verb == "subscribe":
            self._first[call.about["url"]] = call.about["secret"]
        elif call.verb == "rotate":
            name, text = call.about["subscription_id"], call.about["secret"]
            known = self._known(name)
            if all(one.text != text for one in known):
                if any(not one.is_sure for one in known):
                    self._unclear.add(name)
                known.insert(0, _Secret(text))
                self._asked_ms[text] = self.record.clock.now_ms()
            ends_ms = self._asked_ms[text] + call.about["overlap_seconds"] * 1_000
            for one in known[1:]:
                one.maybe_ends_ms = min(one.maybe_ends_ms, ends_ms)

    def _client_told(self, fact: facts.Told) -> None:
        call = fact.call
        if call.verb != "rotate":
            return
        name, text = call.about["subscription_id"], call.about["secret"]
        if self._stepped_at >= call.asked_at:
            self._unclear.add(name)
        if call.answer is None:
            if not call.is_unknown:
                self._unclear.add(name)
            return
        known = self._known(name)
        place = next(place for place, one in enumerate(known) if one.text == text)
        known[place].is_sure = True
        ends_ms = call.answer.previous_expire_at_ms
        if call.about["overlap_seconds"] == 0:
            ends_ms = 0
        for one in known[place + 1 :]:
            one.surely_ends_ms = min(one.surely_ends_ms, ends_ms)

    def _known(self, subscription_id: str) -> list[_Secret]:
        known = self._secrets[subscription_id]
        if not known:
            url = self.record.subscriptions[subscription_id].history[0][1].callback_url
            known.append(_Secret(self._first[url], is_sure=True))
        return known

    def _sent(self, fact: facts.Sent) -> None:
        wire = fact.wire
        if not wire.subscription_id:
            return
        headers = dict(wire.headers)
        seconds = int(headers["webhook-timestamp"])
        self.expect(seconds == wire.wall_ms // 1_000, f"request {wire.number} is stamped {seconds}")
        tokens = headers["webhook-signature"].split(" ")
        known = self._known(wire.subscription_id)
        fitting = [
            next((one for one in known if self._sign(one, wire, seconds) == token), None)
            for token in tokens
        ]
        self.expect(
            all(fitting), f"a signature of request {wire.number} fits no secret of the subscriber"
        )
        if wire.subscription_id in self._unclear:
            return
        for one in known:
            is_used = one in fitting
            if one.is_sure and wire.wall_ms < one.maybe_ends_ms:
                self.expect(is_used, f"request {wire.number} lacks the signature by {one}")
            if wire.wall_ms >= one.surely_ends_ms:
                self.expect(not is_used, f"request {wire.number} is signed by {one}")
        if known[0].is_sure:
            self.expect(
                fitting[0] is known[0], f"the newest secret does not come first in {wire.number}"
            )

    def _sign(self, secret: _Secret, wire: facts.Wire, seconds: int) -> str:
        return sign(key_of_secret(secret.text), wire.webhook_id, seconds, wire.body)
