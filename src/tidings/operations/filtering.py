"""Trying out a content filter before a subscription relies on it."""

from tidings.core.content_filter import EventData, FilterOutcome
from tidings.core.filter_grammar import content_filter, filter_fault
from tidings.core.refusals import Fault, ValidationFailed


def filter_faults(text: str) -> list[Fault]:
    """What is wrong with a content filter that stands under ``/filter`` in a request."""
    fault = filter_fault(text)
    return [] if fault is None else [Fault(f"/filter{fault.pointer}", fault.detail)]


def filter_outcome(text: str, data: bytes) -> FilterOutcome:
    """What a filter says to the data of an event. Raises `ValidationFailed` for a bad filter."""
    faults = filter_faults(text)
    if faults:
        raise ValidationFailed("the filter is not valid", faults=faults)
    return EventData(data).outcome(content_filter(text))
