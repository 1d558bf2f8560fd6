"""A DNS server on loopback that answers as a test tells it to, each time differently if need be.

It knows A and AAAA questions by UDP. What it answers is kept by nobody: its time to live is zero.
"""

import socket
import struct
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address
Answering = Callable[[str, int], Sequence[str]]
"""The addresses to answer with, by name and by how often that name was asked for before."""

_TYPES = {1: IPv4Address, 28: IPv6Address}
_HEAD = struct.Struct("!6H")
_RECORD = struct.Struct("!3HIH")
_ANSWER, _UNKNOWN_NAME = 0x8580, 0x8583
_NAME_OF_THE_QUESTION = 0xC00C
_NAME_SERVER, _INTERNET = 2, 1
# Without any record, c-ares would keep the answer that there is none for an hour.
_AUTHORITY = _RECORD.pack(
    _NAME_OF_THE_QUESTION, _NAME_SERVER, _INTERNET, 0, 2
) + _NAME_OF_THE_QUESTION.to_bytes(2)


class DnsServer:
    """Serves in a thread of its own. A name has addresses, or an `Answering`; others do not exist.

    Of the addresses of a name, an A question gets the IPv4 ones and an AAAA question the others.
    """

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.names: dict[str, Sequence[str] | Answering] = {}
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._socket.sendto(b"", self._socket.getsockname())  # which ends the thread
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, asker = self._socket.recvfrom(4_096)
            if not question:
                return
            self._socket.sendto(self._answer(question), asker)

    def _answer(self, question: bytes) -> bytes:
        number = _HEAD.unpack_from(question)[0]
        labels, at = [], _HEAD.size
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode("ascii").lower())
            at += 1 + question[at]
        (kind,) = struct.unpack_from("!H", question, at + 1)
        name = ".".join(labels)
        found = self._addresses(name, kind)
        flags = _UNKNOWN_NAME if found is None else _ANSWER
        records = [
            _RECORD.pack(_NAME_OF_THE_QUESTION, kind, _INTERNET, 0, len(one.packed)) + one.packed
            for one in found or ()
        ]
        head = _HEAD.pack(number, flags, 1, len(records), 1, 0)
        return b"".join((head, question[_HEAD.size : at + 5], *records, _AUTHORITY))

    def _addresses(self, name: str, kind: int) -> list[Address] | None:
        """The addresses of the kind that is asked for; None if there is no such name."""
        known = self.names.get(name)
        if known is None:
            return None
        if callable(known):
            known = known(name, self.asked.count(name))
        self.asked.append(name)
        wanted = _TYPES.get(kind)
        return [one for one in map(ip_address, known) if wanted and isinstance(one, wanted)]
