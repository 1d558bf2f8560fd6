"""Reading the environment, and saying in one line what is wrong with a variable."""

import difflib
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

T = TypeVar("T", bound=BaseModel)

PREFIX: Final = "TIDINGS_"
_SHOWN_LENGTH_MAX: Final = 60
_FOLLOWS_FROM_OTHERS: Final = "default_factory_not_called"
_UNSHOWN: Final = frozenset({"database_url"})
"""Settings without a secret type whose value may hold a password all the same."""


class SettingsRefused(Exception):
    """The settings cannot be used. Each of `lines` names a variable or an option, and its fault."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def read(settings: type[T], environ: Mapping[str, str] | None, options: Mapping[str, Any]) -> T:
    """The settings of an environment, by default our own, with options put over them."""
    environ = os.environ if environ is None else environ  # noqa: TID251 - the one reader
    options = {name: value for name, value in options.items() if value is not None}
    ours = {name: text.strip() for name, text in environ.items() if _is_ours(name)}
    known = {PREFIX + field.upper(): field for field in settings.model_fields}
    unknown = [_unknown(name, known) for name in ours if name not in known]
    given = {known[name]: text for name, text in ours.items() if name in known and text}
    given |= options
    try:
        loaded = settings.model_validate(given)
    except ValidationError as refused:
        # A value of several parts or types may have several errors; the first tells enough.
        found = [one for one in refused.errors() if one["type"] != _FOLLOWS_FROM_OTHERS]
        errors = {str(one["loc"][0]): one for one in reversed(found)}
        lines = [
            f"{_name(field, options)} {_fault(settings, errors[field], given)}"
            for field in reversed(errors)
        ]
        raise SettingsRefused(unknown + lines) from None
    if unknown:
        raise SettingsRefused(unknown)
    return loaded


def without_settings(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment, by default our own, for a process that shall not inherit any setting."""
    environ = os.environ if environ is None else environ  # noqa: TID251 - the one reader
    return {name: text for name, text in environ.items() if not _is_ours(name)}


def what_it_takes(field: FieldInfo) -> str:
    """What a setting takes, in words."""
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["takes"])


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _unknown(name: str, known: Iterable[str]) -> str:
    fields = [one.removeprefix(PREFIX) for one in known]
    close = difflib.get_close_matches(name[len(PREFIX) :].upper(), fields, n=1)
    return f"{name} is no setting" + (f"; did you mean {PREFIX}{close[0]}?" if close else "")


def _name(field: str, options: Mapping[str, Any]) -> str:
    """A setting as the person gave it: as an option or as a variable."""
    if field in options:
        return "--" + field.removesuffix("_url").replace("_", "-")
    return PREFIX + field.upper()


def _fault(settings: type[BaseModel], error: ErrorDetails, given: Mapping[str, Any]) -> str:
    """What is wrong, with the value unless that might tell a secret."""
    name = str(error["loc"][0])
    field = settings.model_fields[name]
    takes = what_it_takes(field).replace("`", "")
    if name in _UNSHOWN or SecretStr in _types(field.annotation):
        return f"is not what it takes: {takes}"
    value = str(given[name])
    shown = value if len(value) <= _SHOWN_LENGTH_MAX else value[:_SHOWN_LENGTH_MAX] + "…"
    return f"is {shown!r}, but takes {takes}"


def _types(annotation: Any) -> set[Any]:
    return {annotation, *(one for part in get_args(annotation) for one in _types(part))}
