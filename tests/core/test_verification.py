"""What counts as a proof that an endpoint wants events, and when one is owed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import NOW_MS, a_subscription, an_attempt
from tidings.core.attempt import Answer, ErrorClass
from tidings.core.delivery import Delivery
from tidings.core.refusals import InvalidState
from tidings.core.subscription import Change, DisabledReason, Status, turned
from tidings.core.verification import (
    BAD_CHALLENGE,
    Verification,
    challenge_data,
    excused,
    fault_of_proof,
    proven,
    unproven,
)

CHALLENGE = "kQ0Zr3o2o8m8QnUu3tq1rH3cJ2v2x1b5n6F7g8H9i0A"
URL = "https://client.example.com/in"
ROW = Delivery(seq=1, delivery_id="", tenant_id="default", subscription_id="sub_1", event_seq=1)


def fault(answer: Answer) -> str | None:
    return fault_of_proof(an_attempt(ROW, answer), CHALLENGE)


@pytest.mark.parametrize(
    "body",
    [
        CHALLENGE,
        f" {CHALLENGE}\r\n",
        json.dumps({"challenge": CHALLENGE}),
        json.dumps({"challenge": CHALLENGE, "more": [1]}, indent=2) + "\n",
    ],
)
@pytest.mark.parametrize("status", [200, 202, 299])
def test_a_challenge_said_back_is_a_proof(status: int, body: str) -> None:
    assert fault(Answer(status, body=body.encode())) is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "ok",
        CHALLENGE[:-1],
        CHALLENGE + "A",
        CHALLENGE.lower(),
        CHALLENGE.replace("k", "k "),
        f"challenge={CHALLENGE}",
        f'"{CHALLENGE}"',
        f"<p>{CHALLENGE}</p>",
        f"\u00a0{CHALLENGE}",
        f"\ufeff{CHALLENGE}",
        json.dumps([CHALLENGE]),
        json.dumps({"Challenge": CHALLENGE}),
        json.dumps({"challenge": [CHALLENGE]}),
        json.dumps({"challenge": CHALLENGE + " "}),
        json.dumps({"challenge": "é"}),
        json.dumps({"challenge": "\ud800"}),
        json.dumps({"challenge": CHALLENGE})[:-1],
        json.dumps({"challenge": CHALLENGE}) + "{}",
    ],
)
def test_anything_else_is_none(body: str) -> None:
    assert fault(Answer(200, body=body.encode())) == BAD_CHALLENGE


def test_an_endpoint_that_returns_what_it_was_sent_proves_nothing() -> None:
    data = challenge_data(CHALLENGE)
    sent = b'{"eventId":"evt_1","eventType":"tidings.verification","data":%b}' % data
    for body in (sent, json.dumps({"json": json.loads(sent)}).encode(), b"[" + sent + b"]"):
        assert fault(Answer(200, body=body)) == BAD_CHALLENGE


@pytest.mark.parametrize("body", [CHALLENGE.encode(), b""])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(301), "http_status"),
        (Answer(404), "http_status"),
        (Answer(410), "http_status"),
        (Answer(503), "http_status"),
        (Answer(199), "protocol"),
        *[(Answer(error_class=one), one.value) for one in ErrorClass],
    ],
)
def test_only_a_success_proves_anything(answer: Answer, expected: str, body: bytes) -> None:
    told = Answer(answer.status_code, answer.error_class, body=body)
    assert fault(told) == expected


@given(st.binary(max_size=200))
def test_no_answer_breaks_the_comparison(body: bytes) -> None:
    expected = None if body.strip(b" \t\r\n") == CHALLENGE.encode() else BAD_CHALLENGE
    assert fault(Answer(200, body=body)) == expected


# --- when one is owed ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.DELETED])
def test_where_a_proof_is_required_a_changed_url_starts_over_in_every_state(
    status: Status,
) -> None:
    reason = DisabledReason.GONE if status is Status.DISABLED else None
    old = a_subscription(status=status, disabled_reason=reason, verified_at_ms=5)
    new = unproven(old, Verification.REQUIRED)
    assert (new.status, new.must_prove) == (Status.PENDING_VERIFICATION, True)
    assert (new.verified_at_ms, new.disabled_reason) == (None, None)
    assert new.secrets == old.secrets


@pytest.mark.parametrize("verification", [Verification.OPTIONAL, Verification.OFF])
@pytest.mark.parametrize("status", Status)
def test_where_it_is_not_only_the_old_proof_is_forgotten(
    status: Status, verification: Verification
) -> None:
    new = unproven(a_subscription(status=status, verified_at_ms=5), verification)
    assert (new.status, new.must_prove, new.verified_at_ms) == (status, False, None)


@pytest.mark.parametrize("verification", [Verification.OPTIONAL, Verification.OFF])
def test_what_is_owed_stays_owed_when_less_is_asked_of_others(verification: Verification) -> None:
    owing = unproven(a_subscription(), Verification.REQUIRED)
    assert unproven(owing, verification) == owing


def test_a_proof_makes_it_active_and_is_remembered() -> None:
    owing = unproven(a_subscription(callback_url=URL, version=3), Verification.REQUIRED)
    done = proven(owing, URL, now_ms=NOW_MS + 1)
    assert (done.status, done.must_prove, done.version) == (Status.ACTIVE, False, 4)
    assert done.verified_at_ms == done.updated_at_ms == NOW_MS + 1
    assert proven(done, URL, now_ms=NOW_MS + 2) is done


def test_a_proof_of_an_active_subscription_shows() -> None:
    done = proven(a_subscription(callback_url=URL), URL, now_ms=NOW_MS + 1)
    assert (done.status, done.verified_at_ms) == (Status.ACTIVE, NOW_MS + 1)


def test_a_proof_of_another_url_changes_nothing() -> None:
    owing = unproven(a_subscription(callback_url=URL), Verification.REQUIRED)
    with pytest.raises(InvalidState, match="changed meanwhile"):
        proven(owing, "https://other.example.com/in", now_ms=NOW_MS)


@pytest.mark.parametrize("status", [Status.PAUSED, Status.DISABLED, Status.DELETED])
def test_a_proof_that_comes_too_late_changes_nothing(status: Status) -> None:
    with pytest.raises(InvalidState):
        proven(a_subscription(callback_url=URL, status=status), URL, now_ms=NOW_MS)
    with pytest.raises(InvalidState):
        excused(a_subscription(status=status), now_ms=NOW_MS)


def test_switching_off_and_on_again_leads_around_no_proof() -> None:
    owing = unproven(a_subscription(callback_url=URL), Verification.REQUIRED)
    off = turned(owing, Change.DISABLE, now_ms=NOW_MS + 1)
    assert (off.status, off.disabled_reason) == (Status.DISABLED, DisabledReason.OPERATOR)
    back = turned(off, Change.RESUME, now_ms=NOW_MS + 2)
    assert (back.status, back.disabled_reason) == (Status.PENDING_VERIFICATION, None)
    active = proven(back, URL, now_ms=NOW_MS + 3)
    again = turned(
        turned(active, Change.DISABLE, now_ms=NOW_MS + 4), Change.RESUME, now_ms=NOW_MS + 5
    )
    assert again.status is Status.ACTIVE


def test_where_no_proof_is_asked_for_any_more_none_is_owed() -> None:
    owing = unproven(a_subscription(), Verification.REQUIRED)
    free = excused(owing, now_ms=NOW_MS + 1)
    assert (free.status, free.must_prove, free.verified_at_ms) == (Status.ACTIVE, False, None)
    assert excused(free, now_ms=NOW_MS + 2) is free
