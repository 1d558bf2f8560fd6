"""A socket that connects only where the address rules allow.

Three walls, each of which would do alone. The dialer hands on the addresses of a name only if all
of them may be called, and exactly these are connected to: nobody resolves a second time. The
socket judges the very address that is given to the kernel, and once more the peer that the kernel
reports. And TLS, where it is used, checks the name.
"""

import socket
from collections.abc import Sequence
from typing import Any

from tidings.core import limits
from tidings.core.addresses import AddressRules, address_fault


class AddressRefused(OSError):
    """The address rules forbid this connection. Its text may be shown to a subscriber."""


class GuardedSocket(socket.socket):
    """A TCP socket for a receiver's address. It does not block."""

    def __init__(self, rules: AddressRules, family: int) -> None:
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._rules = rules
        self.settimeout(0)
        set_up(self)

    def connect(self, address: Any) -> None:
        """Connect, or raise `AddressRefused`."""
        self._judge(address)
        super().connect(address)

    def connect_ex(self, address: Any) -> int:
        """Connect, or raise `AddressRefused`."""
        self._judge(address)
        return super().connect_ex(address)

    def judge_peer(self) -> None:
        """Raise `AddressRefused` if the kernel has connected us elsewhere than we asked for."""
        self._judge(self.getpeername())

    def _judge(self, address: Sequence[Any]) -> None:
        fault = address_fault(str(address[0]), self._rules, port=int(address[1]))
        if fault is not None:
            raise AddressRefused(fault)


def set_up(made: socket.socket) -> None:
    """Give a socket what all that we send by have: small buffers, and no waiting for more."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limits.RECEIVE_BUFFER_BYTES)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
