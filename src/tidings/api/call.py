"""One request as an endpoint sees it: who asks, for what, and the verbs to answer with."""

from collections.abc import Mapping

import msgspec

from tidings.api.documentation import Documentation
from tidings.api.services import Services
from tidings.api.wire.base import TenantBody
from tidings.api.wire.queries import OwnDeliveryListQuery, TenantQuery
from tidings.core import limits
from tidings.core.grammar import hops_of, unquoted_idempotency_key
from tidings.core.identifier import PUBLIC_ID
from tidings.core.refusals import Fault, NotFound, ValidationFailed
from tidings.core.timestamp import timestamp_ms
from tidings.operations.access import Principal


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request whose caller is known and may make it. Query and body come beside it."""

    services: Services
    documentation: Documentation
    principal: Principal
    headers: Mapping[bytes, bytes]
    path_text: str

    @property
    def path_id(self) -> str:
        """The id in the path. Raises `NotFound` for what can be the id of nothing."""
        if PUBLIC_ID.fullmatch(self.path_text) is None:
            raise NotFound("there is no such thing")
        return self.path_text

    def tenant(
        self, query: TenantQuery | OwnDeliveryListQuery, body: TenantBody | None = None
    ) -> str:
        """The one tenant that the request is about, or the operator, named in query or body.

        Raises `ValidationFailed`, `WrongTenant` and `MissingScope`.
        """
        named = {query.tenant_id, None if body is None else body.tenant_id} - {None}
        if len(named) > 1:
            raise ValidationFailed("query and body name different tenants")
        return self.principal.owner(named.pop() if named else None)

    @property
    def idempotency_key(self) -> str | None:
        """The ``Idempotency-Key``, if there is one. Raises `ValidationFailed`."""
        value = self.headers.get(b"idempotency-key")
        if value is None:
            return None
        key = unquoted_idempotency_key(value.decode("latin-1"))
        if key is None:
            raise ValidationFailed("an Idempotency-Key has 1 to 255 visible ASCII characters")
        return key

    @property
    def hops(self) -> int:
        """How often what is published was received from us and published anew, by `webhook-hops`.

        Raises `ValidationFailed` for what is no number, and for an event that goes in a circle.
        """
        value = self.headers.get(b"webhook-hops")
        if value is None:
            return 0
        received = hops_of(value.decode("latin-1"))
        if received is None:
            raise ValidationFailed("webhook-hops is the number that came with the received event")
        if received >= limits.HOPS_MAX:
            raise ValidationFailed(
                f"what this event tells was received and published anew {received} times; "
                "somebody publishes what they receive in a circle"
            )
        return received + 1

    def location(self, path: str) -> tuple[bytes, bytes]:
        """The header that says where something is."""
        return b"location", f"{self.services.settings.public_url}{path}".encode("ascii")


def moment_ms(name: str, text: str | None, *, is_in_body: bool = False) -> int | None:
    """A moment that a client wrote, in the query or as a member of the body.

    Raises `ValidationFailed`, with a pointer to the member if it is one.
    """
    if text is None:
        return None
    at_ms = timestamp_ms(text)
    if at_ms is None:
        detail = f"{name} is no moment as RFC 3339 writes it, with an offset"
        faults = [Fault(f"/{name}", detail)] if is_in_body else ()
        raise ValidationFailed(detail, faults=faults)
    return at_ms
