"""Logs: one line each, for people or for programs, with nothing secret and nothing forged in it."""

import logging
import sys
from typing import Final, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRET_NAMES: Final = frozenset(
    {"authorization", "cookie", "secret", "key", "api_key", "webhook_signature", "token", "body"}
)
_TEXT_LENGTH_MAX: Final = 2_000


def configure(level: str, form: Literal["json", "console"]) -> None:
    """Send all logs, also those of libraries, to standard error in one form."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _tame,
    ]
    renderer: Processor = structlog.processors.JSONRenderer(sort_keys=True)
    if form == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # What these say at lower levels anybody can cause, as often as they like.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def _tame(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Cut what is long, mask what is secret by its name, and let no text begin a new line."""
    for name, value in event.items():
        if name.lower().replace("-", "_") in _SECRET_NAMES:
            event[name] = "[hidden]"
        elif isinstance(value, str) and name != "exception":
            event[name] = "".join(
                one if one.isprintable() else f"\\x{ord(one):02x}"
                for one in value[:_TEXT_LENGTH_MAX]
            )
    return event
