"""What looking into events costs: filters, formats, schemas, and the worst that each may cost.

Measured within one process, because it is the processor's time and nothing else.
"""

import json
import time
from collections.abc import Callable
from functools import partial

from bench.figures import Figures, Scenario
from tidings.core import limits
from tidings.core.content_filter import EventData
from tidings.core.event import frozen_body
from tidings.core.event_schema import event_schema
from tidings.core.filter_grammar import content_filter
from tidings.core.payload import Form, Payloads

_ORDER = json.dumps(
    {
        "orderId": "or_12345",
        "total": 119.5,
        "express": True,
        "customer": {"country": "DE", "email": "somebody@example.com"},
        "items": [{"sku": f"A{number}", "quantity": number} for number in range(8)],
    }
).encode()
_FILTER = '{"total": {"$gte": 100}, "customer.country": {"$in": ["DE", "AT"]}, "express": true}'
_FILTERS_MANY = 100
_SCHEMA = json.dumps(
    {
        "type": "object",
        "required": ["orderId", "total"],
        "properties": {
            "orderId": {"type": "string", "pattern": "^or_[0-9]+$"},
            "total": {"type": "number", "minimum": 0},
            "express": {"type": "boolean"},
            "customer": {"type": "object", "properties": {"country": {"enum": ["DE", "AT"]}}},
            "items": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["sku"],
                    "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}},
                },
            },
        },
    }
)
_MANY_NUMBERS = b'{"a": [' + b",".join([b"1"] * 100_000) + b"]}"
_SECONDS = 0.5


def content() -> Figures:
    """Microseconds for one event, or for one attempt where it is about what is sent."""
    body = frozen_body("evt_12345", "order.shipped", "2024-05-04T12:00:00Z", _ORDER)
    payloads = Payloads("https://hooks.example.com", b"k" * 32)
    return {
        "filter, one subscription µs/event": _micros(lambda: _ask(_ORDER, [_FILTER])),
        "filter, 100 with the same µs/event": _micros(lambda: _ask(_ORDER, [_FILTER] * 100)),
        "filter, 100 with others µs/event": _micros(lambda: _ask(_ORDER, _others())),
        "filter, the worst one µs/event": _micros(lambda: _ask(_MANY_NUMBERS, ['{"a": 2}'])),
        "filter, 1,000 of the worst µs/event": _micros(lambda: _ask(_MANY_NUMBERS, _worst())),
        **{
            f"format {form.name.lower()} µs/attempt": _micros(
                partial(payloads.body, form, "default", 1 << 60, body)
            )
            for form in Form
        },
        "schema µs/event": _micros(lambda: event_schema(_SCHEMA).faults(_ORDER)),
        "schema, the worst µs/event": _micros(_worst_check()),
    }


def _ask(data: bytes, filters: list[str]) -> int:
    event = EventData(data)
    return sum(event.passes(content_filter(one)) for one in filters)


def _others() -> list[str]:
    return [_FILTER.replace("100", str(number)) for number in range(_FILTERS_MANY)]


def _worst() -> list[str]:
    return [f'{{"a": {number + 2}}}' for number in range(1_000)]


def _worst_check() -> Callable[[], object]:
    """A check that takes just as many steps as are allowed."""
    parts = 400
    schema = event_schema(
        json.dumps({"properties": {"a": {"items": {"allOf": [{"minimum": 0}] * parts}}}})
    )
    numbers = 1
    while schema.steps(_numbers(numbers * 2)) <= limits.SCHEMA_STEPS_MAX:
        numbers *= 2
    data = _numbers(numbers)
    return lambda: schema.faults(data)


def _numbers(count: int) -> bytes:
    return b'{"a": [' + b",".join([b"1"] * count) + b"]}"


def _micros(measured: Callable[[], object]) -> float:
    """The mean over half a second, after a first time that compiles what is kept."""
    measured()
    times, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < _SECONDS:
        measured()
        times += 1
    return took / times * 1e6


CONTENT = {"content": Scenario(content)}
