"""Server-sent events are read as the HTML standard says, however the network cuts them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.cli.frames import FRAME_BYTES_MAX, Frame, FrameReader, FrameTooLarge


def plain(*data: bytes, last_id: str = "") -> list[Frame]:
    return [Frame("message", one, last_id) for one in data]


def read(*pieces: bytes) -> list[Frame]:
    reader = FrameReader()
    return [frame for piece in pieces for frame in reader.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        (b"data: a\n\n", plain(b"a")),
        (b"event: x\ndata: a\nid: 7\n\n", [Frame("x", b"a", "7")]),
        (b"data: a\r\rdata: b\n\ndata: c\r\n\r\n", plain(b"a", b"b", b"c")),
        (b"data: a\ndata: b\n\n", plain(b"a\nb")),
        (b"data\n\ndata:\n\n", plain(b"", b"")),
        (b"data:a\ndata:  b\n\n", plain(b"a\n b")),
        (b": comment\n\nevent: x\n\ndata: a\n\n", plain(b"a")),
        (b"id: 1\n\ndata: a\n\n", plain(b"a", last_id="1")),
        (b"id: 1\ndata: a\n\nid\ndata: b\n\n", plain(b"a", last_id="1") + plain(b"b")),
        (b"id: 1\n\nid: a\0b\ndata: a\n\n", plain(b"a", last_id="1")),
        (b"\xef\xbb\xbfdata: a\n\n", plain(b"a")),
        (b"nonsense: 1\nDATA: b\ndata: a\n\n", plain(b"a")),
        (b"webhook-hops: 3\ndata: a\n\ndata: b\n\n", [Frame("message", b"a", "", 3), *plain(b"b")]),
        (b"data: a\n", []),
        (b"data: a", []),
        (b"", []),
    ],
)  # fmt: skip
def test_a_stream_has_these_frames(stream: bytes, frames: list[Frame]) -> None:
    assert read(stream) == frames
    assert read(*(bytes([one]) for one in stream)) == frames


def test_the_id_of_a_frame_without_data_counts_once_the_frame_is_whole() -> None:
    reader = FrameReader()
    assert list(reader.feed(b": nothing new\nid: 9\n")) == []
    assert reader.last_id == ""
    assert list(reader.feed(b"\n")) == []
    assert reader.last_id == "9"


def test_the_server_says_when_to_come_back() -> None:
    reader = FrameReader()
    list(reader.feed(b"retry: 1500\nretry: soon\nretry:\n\n"))
    assert reader.retry_ms == 1_500


def test_a_frame_without_end_is_not_waited_for() -> None:
    reader = FrameReader()
    piece = b"data: " + b"x" * (FRAME_BYTES_MAX // 2)
    assert list(reader.feed(piece)) == []
    with pytest.raises(FrameTooLarge):
        list(reader.feed(b"\n" + piece))


@given(st.lists(st.binary(max_size=12), max_size=8), st.lists(st.integers(0, 60), max_size=6))
def test_no_cut_of_the_network_changes_what_is_read(lines: list[bytes], cuts: list[int]) -> None:
    stream = b"\n".join(b"data: " + line for line in lines) + b"\r\n\n"
    places = sorted({0, *(min(cut, len(stream)) for cut in cuts), len(stream)})
    pieces = [stream[a:b] for a, b in pairwise(places)]
    assert read(*pieces) == read(stream)


@given(st.binary(max_size=200))
def test_no_bytes_are_too_strange(stream: bytes) -> None:
    reader = FrameReader()
    for frame in reader.feed(stream):
        assert b"\r" not in frame.data
