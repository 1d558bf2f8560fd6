"""`tidings demo`: the whole story in one terminal, with a real server and a real receiver.

Read `_tell` from top to bottom: it is the story, and all that Tidings is about.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import typer

from tidings import __version__
from tidings.cli.output import CommandFailed, ExitCode
from tidings.cli.remote import Remote

if TYPE_CHECKING:
    from tidings.cli.demo_receiver import Received, Receiver
    from tidings.cli.narrator import Narrator

app = typer.Typer()

_LOOKS: Final = 200
_PAUSE_SECONDS: Final = 0.05


@app.command("demo")
def demo() -> None:
    """Watch the whole story in one terminal: deliveries, a failure, a dead letter, a replay."""
    from tidings.cli.demo_receiver import Receiver
    from tidings.cli.demo_server import development_server
    from tidings.cli.narrator import Narrator

    narrator = Narrator()
    narrator.title(f"Tidings {__version__}: the whole story in one terminal")
    with Receiver() as receiver, development_server() as (remote, command):
        narrator.shell(command)
        narrator.say(f"A real server on {remote.server}; its data goes away at the end.")
        narrator.say(f"A real receiver on {receiver.url}, as a subscriber would write one.")
        _tell(_Story(narrator, receiver, remote), narrator, receiver)
    narrator.farewell()


def _tell(story: "_Story", narrator: "Narrator", receiver: "Receiver") -> None:
    narrator.chapter("Somebody subscribes")
    story.subscribe(
        eventType="order.shipped",
        callbackUrl=f"{receiver.url}/webhooks/order-shipped",
        secret="whsec_abc123",
    )

    narrator.chapter("An order is shipped, and the receiver is told")
    story.publish(
        eventId="evt_567",
        eventType="order.shipped",
        occurredAt="2024-05-04T12:00:00Z",
        data={"orderId": "or_12345", "trackingNumber": "1Z999"},
    )
    narrator.request(story.arrival("evt_567", answered=200))

    narrator.chapter("Another receiver stumbles once, and Tidings tries again")
    story.subscribe(
        eventType="payment.*",
        callbackUrl=f"{receiver.url}/webhooks/payments",
        retryPolicy={"schedule": [0.5, 1]},
    )
    receiver.breaks = 1
    event_id = story.publish(eventType="payment.failed", data={"paymentId": "pay_1"})
    story.attempts(event_id, answers=[500, 200])
    narrator.say("The webhook-id stays the same, so that a receiver can tell a repeat.")

    narrator.chapter("It is down for longer, and the delivery becomes a dead letter")
    receiver.breaks = 3
    event_id = story.publish(eventType="payment.refunded", data={"paymentId": "pay_2"})
    story.attempts(event_id, answers=[500, 500, 500])
    narrator.shell("tidings dead-letters list")
    dead_letter = story.dead_letter(event_id)
    narrator.members(dead_letter)
    narrator.say("Whoever subscribes to tidings.* is told of it by an event of Tidings itself.")

    narrator.chapter("It is repaired, and the dead letter is replayed")
    narrator.shell(f"tidings dead-letters replay {dead_letter['deliveryId']}")
    story.replay(dead_letter["deliveryId"])
    story.attempts(event_id, answers=[200])
    narrator.shell(f"tidings deliveries show {dead_letter['deliveryId']}")
    narrator.attempts(story.history(dead_letter["deliveryId"], answers=[500, 500, 500, 200]))


class _Story:
    """What happens between server and receiver. It fails unless everything goes as told."""

    def __init__(self, narrator: "Narrator", receiver: "Receiver", remote: Remote) -> None:
        self._narrator = narrator
        self._receiver = receiver
        self._remote = remote

    def subscribe(self, **wish: Any) -> None:
        """Create a subscription, and tell the receiver its secret."""
        self._narrator.call("POST", "/webhook-subscriptions", wish)
        made = self._remote.create("webhook-subscriptions", body=wish).value
        self._receiver.secrets.append(made["secret"])
        self._narrator.answer(f"201  {made['subscriptionId']} is {made['status']}")

    def publish(self, **event: Any) -> str:
        """Publish an event that one subscription wants; answers its id."""
        self._narrator.call("POST", "/events", event)
        accepted = self._remote.create("events", body=event).value
        _expect("one subscription wants the event", holds=accepted["deliveries"] == 1)
        self._narrator.answer(f"202  {accepted['eventId']} is on disk, and will be delivered")
        return str(accepted["eventId"])

    def arrival(self, event_id: str, *, answered: int) -> "Received":
        """The next request that the receiver gets."""
        request = self._receiver.next()
        if request is None:
            raise _went_wrong("the receiver gets a request")
        _expect("the signature fits", holds=request.is_signed)
        _expect(f"the receiver answers {answered}", holds=request.answered == answered)
        _expect("the webhook-id is the event's", holds=request.webhook_id == event_id)
        return request

    def attempts(self, event_id: str, *, answers: list[int]) -> None:
        """One attempt after the other, each answered as the list says."""
        before = None
        for answered in answers:
            request = self.arrival(event_id, answered=answered)
            self._narrator.attempt(request, since=before)
            before = request

    def dead_letter(self, event_id: str) -> dict[str, Any]:
        """What there is to know about the dead letter of an event, as soon as it is one."""
        found = self._await(
            lambda: self._remote.get("dead-letters", eventId=event_id).value["items"]
        )
        _expect("there is one dead letter", holds=len(found) == 1)
        shown = ("deliveryId", "eventId", "eventType", "status", "deadLetterReason", "attemptCount")
        return {name: found[0][name] for name in shown}

    def replay(self, delivery_id: str) -> None:
        """Deliver a dead letter again."""
        self._remote.post("dead-letters", delivery_id, "replay")

    def history(self, delivery_id: str, *, answers: list[int]) -> list[Any]:
        """The attempts of a delivery, as soon as the last one is recorded."""

        def attempts() -> Any:
            recorded = self._remote.get("deliveries", delivery_id).value["attempts"]
            return recorded if len(recorded) == len(answers) else None

        found = list(self._await(attempts))
        _expect("all attempts are on record", holds=[one["statusCode"] for one in found] == answers)
        return found

    def _await(self, look: Callable[[], Any]) -> Any:
        """What `look` finds, as soon as it finds anything; at last an empty list."""
        pause = threading.Event()
        for _ in range(_LOOKS):
            if found := look():
                return found
            pause.wait(_PAUSE_SECONDS)
        return []


def _expect(what: str, *, holds: bool) -> None:
    if not holds:
        raise _went_wrong(what)


def _went_wrong(expected: str) -> CommandFailed:
    return CommandFailed(f"the story went wrong; expected: {expected}", ExitCode.BAD_RESULT)
