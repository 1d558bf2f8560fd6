"""Frames and places of streams: whatever an event holds comes out of its frame as it went in."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.test_requests import EVENT_TYPES, JSON
from tidings.api.event_stream import Positions
from tidings.api.wire.stream import event_frame
from tidings.cli.frames import Frame, FrameReader
from tidings.core.event import frozen_body
from tidings.core.refusals import InvalidCursor

KEY = b"k" * 32
OURS, ALL = Positions(KEY, "ours"), Positions(KEY, None)
BREAKS = ("\n", "\r", "\r\n", "\n\t", " ")
SEQS = st.integers(0, 2**63 - 1)


@given(SEQS, EVENT_TYPES, JSON, st.sampled_from(BREAKS), st.integers(0, 99))
def test_a_frame_is_read_back_as_the_event_it_holds(
    seq: int, event_type: str, data: Any, line_break: str, hops: int
) -> None:
    text = json.dumps({"x": data}, ensure_ascii=False, indent=2).replace("\n", line_break)
    body = frozen_body("evt_1", event_type, "2024-05-04T12:00:00Z", text.encode())
    position = OURS.shown(seq)
    (frame,) = FrameReader().feed(event_frame(position, event_type, body, hops))
    expected = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert frame == Frame(event_type, expected, position, hops)
    assert json.loads(frame.data) == json.loads(body)


@given(SEQS)
def test_a_place_is_good_for_its_tenant_alone(seq: int) -> None:
    position = OURS.shown(seq)
    assert OURS.opened(position) == seq
    for other in (ALL, Positions(KEY, "theirs"), Positions(b"l" * 32, "ours")):
        assert _is_refused(other, position)


@given(st.text(max_size=80), SEQS, st.integers(0, 60))
def test_no_text_of_others_is_a_place(text: str, seq: int, cut: int) -> None:
    position = OURS.shown(seq)
    for forged in (text, position[:cut], position + text, position[::-1]):
        if forged != position:
            assert _is_refused(OURS, forged)


def _is_refused(positions: Positions, text: str) -> bool:
    try:
        positions.opened(text)
    except InvalidCursor:
        return True
    return False
