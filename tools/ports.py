"""Ports of loopback for servers that tests and benchmarks start, kill and start again."""

import random
import socket
from contextlib import suppress


def free_port() -> int:
    """A port of loopback that nothing uses, and that no connection is given while it is free."""
    while True:
        port = random.SystemRandom().randrange(15_000, 30_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
