"""What comes back to us from strangers: `Retry-After`, cursors, headers of answers, sealed values.

Whatever they hold, it is understood or refused, and nothing else happens.
"""

import base64
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.api.authentication import foreign_part
from tidings.api.pagination import opened_cursor, sealed_cursor
from tidings.core import limits
from tidings.core.refusals import InvalidCursor
from tidings.core.retry import retry_after_ms
from tidings.storage.sealing import CannotOpen, Sealer
from tidings.transport.answers import answer_of

KEY = b"k" * 32
NOW_MS = 1_760_000_000_000
MOMENTS_MS = st.integers(0, 4_000_000_000_000)
DATES = st.datetimes(timezones=st.just(UTC)).map(lambda one: format_datetime(one, usegmt=True))
DATE_PIECES = st.sampled_from(
    [
        *("Wed,", "21", "Oct", "2015", "07:28:00", "GMT", "-0000", "+9999", "99999999999", "0"),
        *("Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "-1", "1.5", "١٢"),
        *("\0", ",", ":", ""),
    ]
)
RETRY_AFTERS = st.one_of(
    st.text(max_size=60),
    st.integers(-(10**14), 10**14).map(str),
    st.lists(DATE_PIECES, max_size=8).map(" ".join),
    DATES,
)


@given(RETRY_AFTERS, MOMENTS_MS)
def test_a_wait_that_is_asked_for_lies_within_a_day(value: str, now_ms: int) -> None:
    asked = retry_after_ms(value, now_ms=now_ms)
    assert asked is None or now_ms < asked <= now_ms + limits.RETRY_AFTER_MS_MAX


@given(st.integers(1, 86_400))
def test_seconds_and_dates_ask_for_the_same_moment(seconds: int) -> None:
    asked_ms = NOW_MS + seconds * 1_000
    date = format_datetime(datetime.fromtimestamp(asked_ms / 1_000, UTC), usegmt=True)
    assert retry_after_ms(str(seconds), now_ms=NOW_MS) == asked_ms
    assert retry_after_ms(date, now_ms=NOW_MS) == asked_ms


def test_a_date_without_a_zone_is_in_utc_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_ms = NOW_MS + 3_600_000
    date = time.asctime(time.gmtime(asked_ms / 1_000))
    try:
        for zone in ("UTC", "XXX-9", "XXX+9"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert retry_after_ms(date, now_ms=NOW_MS) == asked_ms
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.binary(max_size=20), st.text(max_size=60))
def test_a_cursor_leads_to_the_place_it_was_made_for(binding: bytes, place: str) -> None:
    assert opened_cursor(KEY, binding, sealed_cursor(KEY, binding, place)) == place


@given(
    st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: base64.b64encode(raw).decode())
)
def test_no_text_of_others_is_a_cursor(cursor: str) -> None:
    try:
        opened_cursor(KEY, b"list", cursor)
    except InvalidCursor:
        return
    raise AssertionError(cursor)


@given(st.text(max_size=30), st.integers(0, 10_000), st.integers(1, 255))
def test_a_cursor_with_one_wrong_bit_is_refused(place: str, at: int, mask: int) -> None:
    cursor = sealed_cursor(KEY, b"list", place)
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[at % len(raw)] ^= mask
    try:
        opened_cursor(KEY, b"list", base64.urlsafe_b64encode(raw).decode().rstrip("="))
    except InvalidCursor:
        return
    raise AssertionError(cursor)


@given(st.binary(max_size=20), st.binary(max_size=20), st.text(max_size=20))
def test_a_cursor_of_another_list_or_tenant_is_refused(
    one: bytes, other: bytes, place: str
) -> None:
    if one == other:
        return
    try:
        opened_cursor(KEY, other, sealed_cursor(KEY, one, place))
    except InvalidCursor:
        return
    raise AssertionError(place)


HEADER_NAMES = st.binary(max_size=12) | st.sampled_from(
    [b"Retry-After", b"SET-COOKIE", b"content-type", b"X-Request-Id", b"location"]
)


@given(
    st.integers(200, 599),
    st.lists(st.tuples(HEADER_NAMES, st.binary(max_size=600)), max_size=60),
    st.binary(max_size=20),
)
def test_of_any_headers_a_bounded_part_is_kept_that_can_be_stored(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    answer = answer_of(status, headers, body)
    assert len(answer.headers) <= limits.ANSWER_HEADERS_KEPT_MAX
    for name, value in answer.headers:
        assert name.isascii()
        assert value.isprintable()
        assert len(value.encode()) <= 3 * limits.ANSWER_HEADER_VALUE_LENGTH_MAX
        assert name != "set-cookie" or value == "[hidden]"
    assert retry_after_ms(answer.retry_after, now_ms=NOW_MS) != 0


@given(st.binary(max_size=80), st.text(max_size=10), st.text(max_size=10), st.binary(max_size=60))
def test_a_sealed_value_opens_for_what_it_belongs_to_and_for_nothing_else(
    value: bytes, owner: str, other: str, nonsense: bytes
) -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(value, owner)
    assert sealer.open(sealed, owner) == value
    candidates = [(nonsense, owner), (sealed[:-1], owner), (sealed + b"\0", owner)]
    candidates += [(sealed, other)] if other != owner else []
    for candidate, belongs_to in candidates:
        try:
            sealer.open(candidate, belongs_to)
        except CannotOpen:
            continue
        raise AssertionError(candidate)


@given(st.binary(max_size=40), st.none() | st.binary(max_size=40))
def test_no_host_or_origin_makes_development_mode_fail(host: bytes, origin: bytes | None) -> None:
    why = foreign_part(host, origin)
    assert why is None or "development mode" in why
