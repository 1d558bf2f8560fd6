"""Whatever a receiver sends, in whatever portions: one answer, and the same one each time."""

import asyncio
import itertools
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tidings.core import limits
from tidings.core.attempt import Answer
from tidings.transport.connection import Connection

_LINES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 103 Early Hints",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 101 Switching Protocols",
        b"HTTP/1.1 500 X",
        b"HTTP/1.0 200 OK",
        b"RTSP/1.0 200 OK",
        b"Content-Length: 3",
        b"Content-Length: 0",
        b"Content-Length: -1",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"Keep-Alive: timeout=5",
        b"Server: x",
        b"X: " + b"a" * 20_000,
        b"Upgrade: h2c",
        b" folded",
        b"3",
        b"abc",
        b"0",
        b"ffffffffffffffffffff",
        b"",
        b"",
        b"",
    ]
)
_ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""])
_SENT = st.lists(st.tuples(_LINES, _ENDS), max_size=16).map(
    lambda lines: b"".join(line + end for line, end in lines)
)
_OK = b"HTTP/1.1 200 OK\r\n"


class Pool:
    """Remembers whether the connection was given back, and how often."""

    def __init__(self) -> None:
        self.ends: list[bool] = []

    def ended(self, connection: Connection, *, is_reusable: bool) -> None:
        self.ends.append(is_reusable)

    def lost(self, connection: Connection) -> None:
        pass


class Wire(asyncio.Transport):
    """The other end of nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.is_cut = False

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return self.is_cut

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.is_cut = True


def told(portions: list[bytes], loop: asyncio.AbstractEventLoop) -> tuple[Answer, bool]:
    """What comes of it if a receiver sends these portions and then nothing more."""
    pool, wire = Pool(), Wire()
    connection = Connection(pool, None)
    connection.connection_made(wire)
    answers: list[Answer] = []
    connection.begin(b"POST / HTTP/1.1\r\n\r\n", b"{}", answers.append)
    for portion in portions:
        connection.data_received(portion)
    is_reusable = bool(pool.ends and pool.ends[0]) and not wire.is_cut
    connection.eof_received()
    (answer,) = answers
    assert len(pool.ends) == 1
    assert wire.is_cut
    return answer, is_reusable


def cut(sent: bytes, places: list[int]) -> list[bytes]:
    """The same bytes in portions."""
    at = sorted({place % (len(sent) + 1) for place in places} | {0, len(sent)})
    return [sent[low:high] for low, high in itertools.pairwise(at)]


@given(st.one_of(_SENT, st.binary(max_size=300)), st.lists(st.integers(0, 100_000), max_size=8))
@example(_OK + b"Content-Length: 0\r\n\r\n" + _OK + b"Content-Length: 0\r\n\r\n", [38])
@example(_OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", [50, 51, 52, 53])
@example(b"\r\nRTSP/1.0 200 OK\r\n\r\n", [1])
def test_portions_change_nothing(sent: bytes, places: list[int]) -> None:
    loop = asyncio.new_event_loop()
    try:
        whole, is_reusable = told([sent] if sent else [], loop)
        divided, _ = told(cut(sent, places), loop)
    finally:
        loop.close()
    assert divided == whole
    assert len(whole.body) <= limits.ANSWER_BODY_BYTES_KEPT_MAX
    assert whole.status_code is not None or whole.error_class is not None
    if is_reusable:
        assert whole.status_code is not None


@given(_SENT.filter(bool), _SENT.filter(bool))
def test_what_stands_behind_a_whole_answer_ends_the_connection(behind: bytes, more: bytes) -> None:
    answer = _OK + b"Content-Length: 2\r\n\r\nok"
    loop = asyncio.new_event_loop()
    try:
        alone, is_reusable = told([answer], loop)
        assert is_reusable
        for portions in ([answer + behind], [answer, behind], [answer, behind, more]):
            followed, is_reusable = told(portions, loop)
            assert followed == alone
            assert not is_reusable or not b"".join(portions)[len(answer) :].strip(b"\r\n")
    finally:
        loop.close()
