"""A subscriber that publishes what it receives: a circle, which ends by itself."""

import httpx2

from tests.support.receiver import Received, Receiver, Reply
from tests.support.server import Server
from tidings.core.limits import HOPS_MAX


def test_a_circle_of_subscribers_that_pass_the_hops_on_ends(
    server: Server, receiver: Receiver
) -> None:
    answers: list[httpx2.Response] = []

    def publish_again(received: Received) -> Reply:
        hops = received.headers.get("webhook-hops", "0")
        answers.append(
            server.client.post(
                "/events",
                json={"eventType": "order.shipped", "data": {}},
                headers={"webhook-hops": hops},
            )
        )
        return Reply()

    receiver.answer = publish_again
    server.subscribe(f"{receiver.url}/circle")
    server.publish()
    receiver.wait("/circle", HOPS_MAX + 1)
    # The receiver answers a delivery only when its own publish was answered; and an event may be
    # delivered, and published anew, before the answer to its publish is read.
    newest, *older = [one["deliveryId"] for one in server.deliveries()]
    for delivery_id in older:
        server.await_delivery(delivery_id, "delivered")
    (attempt,) = server.await_delivery(newest, "delivered")["attempts"]
    assert attempt["requestHeaders"]["webhook-hops"] == str(HOPS_MAX)
    assert sorted(answer.status_code for answer in answers) == [202] * HOPS_MAX + [422]
    arrived = receiver.at("/circle")
    assert "webhook-hops" not in arrived[0].headers
    assert [one.headers["webhook-hops"] for one in arrived[1:]] == [
        str(number) for number in range(1, HOPS_MAX + 1)
    ]
