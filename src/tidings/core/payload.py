"""What goes out for an event: one of a few forms, each a pure function of the frozen event.

The form of a delivery is chosen when it is created and never changes, so every attempt, retry and
replay of it sends the same bytes. A thin form holds, instead of the data, the address where they
are found. The address is signed, so that whoever got it needs no key.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final

import msgspec

from tidings.core.event import data_of, split_body

CLOUDEVENTS_MEDIA_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
_JSON: Final = "application/json"
_SEQ_DIGITS_MAX: Final = 19


class PayloadFormat(StrEnum):
    """What a subscriber asks for."""

    TIDINGS = "tidings"
    THIN = "thin"
    CLOUDEVENTS = "cloudevents"


class Form(IntEnum):
    """What a delivery sends. The numbers are stored."""

    TIDINGS = 0
    THIN = 1
    CLOUDEVENT = 2
    THIN_CLOUDEVENT = 3


_MEDIA_TYPES: Final[Mapping[Form, str]] = {
    Form.TIDINGS: _JSON,
    Form.THIN: _JSON,
    Form.CLOUDEVENT: CLOUDEVENTS_MEDIA_TYPE,
    Form.THIN_CLOUDEVENT: CLOUDEVENTS_MEDIA_TYPE,
}


def form_of(payload_format: PayloadFormat, thin_above_bytes: int | None, body_bytes: int) -> Form:
    """The form of a new delivery. `body_bytes` is the length of the event's frozen body."""
    is_thin = thin_above_bytes is not None and body_bytes > thin_above_bytes
    if payload_format is PayloadFormat.CLOUDEVENTS:
        return Form.THIN_CLOUDEVENT if is_thin else Form.CLOUDEVENT
    return Form.THIN if is_thin or payload_format is PayloadFormat.THIN else Form.TIDINGS


def trial_form(payload_format: PayloadFormat) -> Form:
    """The form of a test or challenge: never thin, because its data stand nowhere else."""
    return Form.CLOUDEVENT if payload_format is PayloadFormat.CLOUDEVENTS else Form.TIDINGS


def media_type(form: Form) -> str:
    """The ``Content-Type`` that goes with a form."""
    return _MEDIA_TYPES[form]


class Payloads(msgspec.Struct, frozen=True):
    """Writes bodies and addresses.

    `public_url` begins all addresses and has no slash at its end. `key` is secret, and the same on
    all servers of one database.
    """

    public_url: str
    key: bytes

    def body(self, form: Form, tenant_id: str, event_seq: int, frozen: bytes) -> bytes:
        """The bytes to send for an event whose frozen body is given."""
        if form is Form.TIDINGS:
            return frozen
        event_id, event_type, occurred_at = split_body(frozen)
        if form is Form.THIN:
            address = self.data_address(tenant_id, event_id, event_seq)
            return (
                f'{{"eventId":"{event_id}","eventType":"{event_type}",'
                f'"occurredAt":"{occurred_at}","data":{{}},"dataUrl":"{address}"}}'
            ).encode("ascii")
        head = (
            f'{{"specversion":"1.0","id":"{event_id}","source":"{self.source(tenant_id)}",'
            f'"type":"{event_type}","time":"{occurred_at}","datacontenttype":"{_JSON}",'
        ).encode("ascii")
        if form is Form.CLOUDEVENT:
            return b'%b"data":%b}' % (head, data_of(frozen))
        address = self.data_address(tenant_id, event_id, event_seq)
        return b'%b"dataref":"%b"}' % (head, address.encode("ascii"))

    def source(self, tenant_id: str) -> str:
        """The CloudEvents `source` of a tenant's events."""
        return f"{self.public_url}/tenants/{tenant_id}"

    def data_address(self, tenant_id: str, event_id: str, event_seq: int) -> str:
        """Where the data of an event are, for whoever has this very address."""
        signature = self._signature(tenant_id, event_id, event_seq)
        return (
            f"{self.public_url}/events/{event_id}/data?tenantId={tenant_id}&signature={signature}"
        )

    def signed_seq(self, signature: str, tenant_id: str, event_id: str) -> int | None:
        """The `seq` of the event whose address this is a signature of; None for a forged one.

        The `seq` is signed, too, so an event that takes the id of one that has expired has another
        address. It is compared in constant time, before anybody looks for the event.
        """
        number = signature.partition(".")[0]
        if not number.isascii() or not number.isdecimal() or len(number) > _SEQ_DIGITS_MAX:
            return None
        expected = self._signature(tenant_id, event_id, int(number))
        is_ours = hmac.compare_digest(expected.encode("ascii"), signature.encode("utf-8"))
        return int(number) if is_ours else None

    def _signature(self, tenant_id: str, event_id: str, event_seq: int) -> str:
        signed = f"{tenant_id}\0{event_id}\0{event_seq}".encode()
        digest = hmac.digest(self.key, signed, hashlib.sha256)
        return f"{event_seq}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode('ascii')}"
