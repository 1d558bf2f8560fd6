"""Event types and the patterns that select them.

A pattern has segments as an event type has. ``*`` as a segment stands for exactly one segment, as
the last one for one or more, and alone for every event type but those of Tidings itself: what
starts with ``tidings.`` is reached only by a pattern that says ``tidings`` literally.
"""

import re
from functools import lru_cache
from typing import Final

from tidings.core import limits

RESERVED_SEGMENT: Final = "tidings"
_SEGMENT: Final = r"[A-Za-z0-9_-]+"
_EVENT_TYPE: Final = re.compile(rf"{_SEGMENT}(?:\.{_SEGMENT})*", re.ASCII)
_PATTERN: Final = re.compile(rf"(?:\*|{_SEGMENT})(?:\.(?:\*|{_SEGMENT}))*", re.ASCII)

Patterns = tuple[tuple[str, ...], ...]
"""Parsed patterns: each a tuple of segments."""


def event_type_fault(event_type: str) -> str | None:
    """Why a publisher may not use this event type, or None if it may."""
    if not 1 <= len(event_type) <= limits.EVENT_TYPE_LENGTH_MAX:
        return f"an event type has 1 to {limits.EVENT_TYPE_LENGTH_MAX} characters"
    if not _EVENT_TYPE.fullmatch(event_type):
        return "an event type is made of segments of letters, digits, _ and -, separated by dots"
    if event_type.split(".", 1)[0] == RESERVED_SEGMENT:
        return f"event types that start with {RESERVED_SEGMENT!r} are reserved"
    return None


def patterns_fault(text: str) -> str | None:
    """Why this is no list of patterns, or None if it is one."""
    if not 1 <= len(text) <= limits.PATTERNS_LENGTH_MAX:
        return f"event type patterns have 1 to {limits.PATTERNS_LENGTH_MAX} characters in all"
    patterns = [part.strip(" ") for part in text.split(",")]
    if len(patterns) > limits.PATTERNS_MAX:
        return f"at most {limits.PATTERNS_MAX} patterns separated by commas are allowed"
    for place, pattern in enumerate(patterns, start=1):
        if len(pattern) > limits.EVENT_TYPE_LENGTH_MAX:
            return f"a pattern has at most {limits.EVENT_TYPE_LENGTH_MAX} characters"
        if not _PATTERN.fullmatch(pattern):
            return (
                f"pattern {place} is none: a pattern is made of segments of letters, digits, _ "
                "and -, or * for a whole segment, separated by dots"
            )
    return None


def is_reserved(event_type: str) -> bool:
    """Whether an event of this type is one of our own, which no publisher can publish."""
    return event_type.startswith(RESERVED_SEGMENT + ".")


def reaches_only_reserved(patterns_text: str) -> bool:
    """Whether patterns select nothing but event types of our own."""
    return all(pattern[0] == RESERVED_SEGMENT for pattern in parsed_patterns(patterns_text))


@lru_cache(maxsize=4_096)
def parsed_patterns(text: str) -> Patterns:
    """The patterns in a subscription's `eventType`, which must have passed `patterns_fault`."""
    return tuple(tuple(part.strip(" ").split(".")) for part in text.split(","))


def pattern_matches(pattern: tuple[str, ...], event_type: str) -> bool:
    """Whether one parsed pattern selects the event type."""
    segments = event_type.split(".")
    if segments[0] == RESERVED_SEGMENT and pattern[0] != RESERVED_SEGMENT:
        return False
    open_ended = pattern[-1] == "*"
    if len(segments) != len(pattern) and not (open_ended and len(segments) > len(pattern)):
        return False
    return all(wanted in ("*", found) for wanted, found in zip(pattern, segments, strict=False))


def matches(patterns_text: str, event_type: str) -> bool:
    """Whether any pattern of a subscription's `eventType` selects the event type."""
    return any(pattern_matches(pattern, event_type) for pattern in parsed_patterns(patterns_text))
