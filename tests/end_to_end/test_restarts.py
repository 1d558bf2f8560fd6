"""A server that is started again goes on where it was."""

from pathlib import Path

import pytest

from tests.support.receiver import Receiver, Reply
from tests.support.server import Server


def test_a_stopped_server_finishes_what_is_in_flight(tmp_path: Path, receiver: Receiver) -> None:
    server = Server(tmp_path / "data").start()
    url = receiver.script("/slow", Reply(200, after_seconds=0.8))
    server.subscribe(url)
    server.publish()
    receiver.wait("/slow", 1)
    assert server.stop() == 0
    server.start()
    delivery_id = server.deliveries()[0]["deliveryId"]
    delivery = server.await_delivery(delivery_id, "delivered")
    assert delivery["attemptCount"] == 1
    assert len(receiver.at("/slow")) == 1
    server.client.close()
    assert server.stop() == 0


@pytest.mark.timeout(120)
def test_a_retry_keeps_its_due_time_over_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    server = Server(tmp_path / "data").start()
    url = receiver.script("/later", 500)
    server.subscribe(url, retryPolicy={"schedule": [12]})
    server.publish()
    receiver.wait("/later", 1)
    delivery_id = server.deliveries()[0]["deliveryId"]
    due = server.await_attempts(delivery_id, 1, seconds=15)["nextAttemptAt"]
    assert due
    server.kill()
    server.start()
    assert server.deliveries()[0]["nextAttemptAt"] == due
    first, second = receiver.wait("/later", 2, seconds=30)
    assert second.at - first.at > 12 * 0.8 - 0.2
    server.client.close()
    assert server.stop() == 0
