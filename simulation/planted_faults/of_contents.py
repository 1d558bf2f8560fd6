"""Defects in content filters, payload formats and quotas."""

from typing import Any, Final

from simulation.planted_faults.planting import around, fault, instead
from tidings.core.content_filter import EventData, FilterOutcome
from tidings.core.payload import Form, Payloads
from tidings.core.routing import Routing
from tidings.engine.sending import Sender
from tidings.operations.publish import Publisher
from tidings.storage.sql.backlog import Backlog


def _keeping_the_first_filter(put: Any) -> Any:
    def keep(routing: Any, subscription: Any) -> None:
        before = routing._filters.get(subscription.subscription_id)
        put(routing, subscription)
        if before is not None and subscription.subscription_id in routing._filters:
            routing._filters[subscription.subscription_id] = before

    return keep


def _following_the_subscription(request: Any) -> Any:
    def follow(
        sender: Any, subscription: Any, stored: Any, _form: Any, seq: int, **options: Any
    ) -> Any:
        form = subscription.form_of(len(stored.body))
        return request(sender, subscription, stored, form, seq, **options)

    return follow


def _writing_one_form(body: Any) -> Any:
    def write(payloads: Any, _form: Any, *arguments: Any) -> Any:
        return body(payloads, Form.TIDINGS, *arguments)

    return write


CONTENT_FAULTS: Final = (
    fault(
        "filters say yes",
        "a content filter lets everything through",
        instead(EventData, "outcome", lambda _data, _filter: FilterOutcome.MATCH),
    ),
    fault(
        "an old filter stays",
        "a content filter that was changed goes on as before",
        around(Routing, "put", _keeping_the_first_filter),
    ),
    fault(
        "every form is the same",
        "a subscriber gets the ordinary body, whatever format it chose",
        around(Payloads, "body", _writing_one_form),
    ),
    fault(
        "the form is not kept",
        "a retry goes out in the format that the subscription has by then",
        around(Sender, "request", _following_the_subscription),
    ),
    fault(
        "the rate quota counts nothing",
        "a tenant publishes faster than its quota",
        instead(Publisher, "_is_over_rate", lambda _publisher, _tenant_id: False),
    ),
    fault(
        "the backlog is always empty",
        "a tenant's backlog grows beyond its quota",
        instead(Backlog, "of", lambda _backlog, _tenant_id: 0),
    ),
)
