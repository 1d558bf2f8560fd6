"""Every form of a body is what its specification says, and the same whenever it is written."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from hypothesis import given
from hypothesis import strategies as st

from tidings.core.event import data_of, frozen_body, split_body
from tidings.core.payload import Form, PayloadFormat, Payloads, form_of, media_type, trial_form

PAYLOADS = Payloads("https://hooks.example.com/api", b"k" * 32)
DATA = b'{"z": 1.0, "big":123456789012345678901, "t": "\\u00fc ",\n"a":[]}'
BODY = frozen_body("evt_567", "order.shipped", "2024-05-04T12:00:00Z", DATA)


def _body(form: Form, frozen: bytes = BODY, seq: int = 7) -> bytes:
    return PAYLOADS.body(form, "acme", seq, frozen)


def test_the_usual_form_is_the_frozen_body_itself() -> None:
    assert _body(Form.TIDINGS) is BODY


def test_a_thin_body_is_the_same_envelope_with_an_address() -> None:
    thin = json.loads(_body(Form.THIN))
    address = thin.pop("dataUrl")
    assert thin == json.loads(BODY) | {"data": {}}
    assert list(json.loads(BODY)) == list(thin)
    assert address == PAYLOADS.data_address("acme", "evt_567", 7)


@pytest.mark.parametrize("form", [Form.CLOUDEVENT, Form.THIN_CLOUDEVENT])
def test_a_cloudevent_is_read_by_the_package_of_its_authors(form: Form) -> None:
    message = HTTPMessage({"content-type": media_type(form)}, _body(form))
    event = from_http_event(message)
    assert event.get_attributes() | {"dataref": None} == {
        "specversion": "1.0",
        "id": "evt_567",
        "source": "https://hooks.example.com/api/tenants/acme",
        "type": "order.shipped",
        "time": event.get_time(),
        "datacontenttype": "application/json",
        "dataref": None,
    }
    time = event.get_time()
    assert time is not None
    assert time.isoformat() == "2024-05-04T12:00:00+00:00"
    if form is Form.CLOUDEVENT:
        assert event.get_data() == json.loads(DATA)
        assert event.get_extension("dataref") is None
    else:
        assert event.get_data() is None
        assert event.get_extension("dataref") == PAYLOADS.data_address("acme", "evt_567", 7)


def test_cloudevents_are_declared_as_the_http_binding_asks() -> None:
    assert media_type(Form.CLOUDEVENT) == "application/cloudevents+json; charset=UTF-8"
    assert media_type(Form.THIN) == media_type(Form.TIDINGS) == "application/json"


@given(
    event_id=st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True),
    event_type=st.from_regex(r"[a-z_-]{1,5}(\.[a-z]{1,3}){0,3}", fullmatch=True),
    data=st.dictionaries(st.text(), st.text() | st.integers(), max_size=4),
    seq=st.integers(0, 1 << 62),
)
def test_every_form_is_json_with_the_data_untouched(
    event_id: str, event_type: str, data: dict[str, Any], seq: int
) -> None:
    raw = json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")
    frozen = frozen_body(event_id, event_type, "2024-05-04T12:00:00.5Z", raw)
    assert split_body(frozen) == (event_id, event_type, "2024-05-04T12:00:00.5Z")
    for form in Form:
        body = _body(form, frozen, seq)
        assert body == _body(form, frozen, seq)
        assert json.loads(body)
    assert _body(Form.CLOUDEVENT, frozen, seq).endswith(b'"data":' + data_of(frozen) + b"}")


@pytest.mark.parametrize(
    ("payload_format", "thin_above", "size", "form"),
    [
        ("tidings", None, 1_000_000, Form.TIDINGS),
        ("tidings", 100, 100, Form.TIDINGS),
        ("tidings", 100, 101, Form.THIN),
        ("tidings", 0, 1, Form.THIN),
        ("thin", None, 1, Form.THIN),
        ("thin", 1_000, 1, Form.THIN),
        ("cloudevents", None, 1_000_000, Form.CLOUDEVENT),
        ("cloudevents", 100, 101, Form.THIN_CLOUDEVENT),
        ("cloudevents", 100, 100, Form.CLOUDEVENT),
    ],
)
def test_nobody_gets_a_thin_body_without_asking(
    payload_format: str, thin_above: int | None, size: int, form: Form
) -> None:
    assert form_of(PayloadFormat(payload_format), thin_above, size) is form


def test_a_trial_has_its_data_with_it() -> None:
    forms = [trial_form(one) for one in PayloadFormat]
    assert forms == [Form.TIDINGS, Form.TIDINGS, Form.CLOUDEVENT]


def test_an_address_opens_one_event_of_one_tenant_accepted_once() -> None:
    address = urlsplit(PAYLOADS.data_address("acme", "evt_567", 7))
    assert address.geturl().startswith("https://hooks.example.com/api/events/evt_567/data?")
    query = dict(parse_qsl(address.query))
    signature = query["signature"]
    assert re.fullmatch(r"7\.[A-Za-z0-9_-]{43}", signature)
    assert query["tenantId"] == "acme"
    assert PAYLOADS.signed_seq(signature, "acme", "evt_567") == 7
    for other in (("acmE", "evt_567"), ("acme", "evt_568")):
        assert PAYLOADS.signed_seq(signature, *other) is None
    mac = signature.removeprefix("7")
    numbers = ("", "8", "07", "-7", "\u0667", "7" * 5_000)
    texts = ("", "ü", ".", signature[:-1], signature + "A", "7." + "A" * 43)
    for forged in (*texts, *(number + mac for number in numbers)):
        assert PAYLOADS.signed_seq(forged, "acme", "evt_567") is None
    stranger = Payloads(PAYLOADS.public_url, b"x" * 32)
    assert stranger.signed_seq(signature, "acme", "evt_567") is None
