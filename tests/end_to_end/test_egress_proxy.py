"""A server that is told of a proxy sends nothing past it, and keeps its password to itself."""

import socket
import threading
from pathlib import Path

from tests.support.receiver import Receiver
from tests.support.server import Server


def _refuse_tunnels(listening: socket.socket, heads: list[bytes]) -> None:
    while True:
        try:
            made, _ = listening.accept()
        except OSError:
            return
        with made:
            heads.append(made.recv(4_096))
            made.sendall(b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\n\r\n")


def test_nothing_goes_past_the_proxy_and_its_failure_is_ours(
    tmp_path: Path, receiver: Receiver
) -> None:
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        threading.Thread(target=_refuse_tunnels, args=(proxy, heads), daemon=True).start()
        port = proxy.getsockname()[1]
        server = Server(
            tmp_path / "data", EGRESS_PROXY=f"http://tidings:hush-hush@127.0.0.1:{port}"
        ).start()
        subscription = server.subscribe(f"{receiver.url}/in")
        path = f"/webhook-subscriptions/{subscription['subscriptionId']}/test"
        attempt = server.call("POST", path, {})
        proxied = {"callbackUrl": f"http://127.0.0.1:{port}/", "eventType": "order.*"}
        refused = server.client.post("/webhook-subscriptions", json=proxied)
        server.client.close()
        server.stop()
        proxy.shutdown(socket.SHUT_RDWR)
    assert (attempt["outcome"], attempt["errorClass"]) == ("our_fault", "internal")
    assert str(port) not in attempt["errorDetail"]
    assert not receiver.received
    assert heads
    assert heads[0].startswith(b"CONNECT 127.0.0.1:")
    assert refused.json()["code"] == "callback_url_refused"
    log = server.output.read_text()
    assert "the egress proxy fails: it answered 407" in log
    assert "hush-hush" not in log
