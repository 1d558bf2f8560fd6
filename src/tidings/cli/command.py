"""How a command is made: it says what it needs, and gets the options that go with that.

A function that takes a `Remote` gets one, and its command the options `--server`, `--api-key` and
`--tenant`; one that takes a `Screen` gets that, and its command the option `--json`.
"""

import functools
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from tidings.cli.output import CommandFailed, ExitCode, Screen
from tidings.cli.remote import Remote

if TYPE_CHECKING:
    from tidings.settings import Settings

F = TypeVar("F", bound=Callable[..., None])

_Json = Annotated[bool, typer.Option("--json", help="Print the JSON of the API, for programs.")]
_Server = Annotated[
    str | None,
    typer.Option(
        help="The URL of the server; else TIDINGS_SERVER, else http://127.0.0.1:8080.",
        rich_help_panel="Server",
    ),
]
_ApiKey = Annotated[
    str | None,
    typer.Option(
        help="The API key; else TIDINGS_API_KEY, else the admin key in the data directory.",
        rich_help_panel="Server",
    ),
]
_Tenant = Annotated[
    str | None,
    typer.Option(
        help="The tenant, for a key of all tenants; else the tenant `default`.",
        rich_help_panel="Server",
    ),
]

Limit = Annotated[int | None, typer.Option(help="How many at most: 50 unless told, 200 at most.")]
Cursor = Annotated[str | None, typer.Option(help="Where to go on, as the page before said.")]
Since = Annotated[str | None, typer.Option(help="Created at or after: 2024-05-04T12:00:00Z")]
Until = Annotated[str | None, typer.Option(help="Created before: 2024-05-05T12:00:00Z")]


def _option(name: str, annotation: Any, default: object) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


_REMOTE_OPTIONS: Final = (
    _option("server", _Server, None),
    _option("api_key", _ApiKey, None),
    _option("tenant", _Tenant, None),
)
_JSON_OPTION: Final = _option("is_json", _Json, default=False)


def group(about: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=about, no_args_is_help=True)


def command(into: typer.Typer, name: str) -> Callable[[F], F]:
    """Make the function a command of a group."""

    def register(function: F) -> F:
        signature = inspect.signature(function)
        made = {
            one.name: one.annotation
            for one in signature.parameters.values()
            if one.annotation in (Remote, Screen)
        }
        options = [one for one in signature.parameters.values() if one.name not in made]
        options += _REMOTE_OPTIONS if Remote in made.values() else ()
        options += (_JSON_OPTION,) if Screen in made.values() else ()

        @functools.wraps(function)
        def run(**given: Any) -> None:
            with ExitStack() as rest:
                for parameter, kind in made.items():
                    if kind is Screen:
                        given[parameter] = Screen(is_json=given.pop("is_json"))
                    else:
                        given[parameter] = rest.enter_context(_remote(given))
                function(**given)

        run.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in options}
        into.command(name)(run)
        return function

    return register


def load_settings(**options: object) -> "Settings":
    """The settings, with options of the command line put over them."""
    from tidings.settings import Settings, SettingsRefused

    try:
        return Settings.load(overrides=options)
    except SettingsRefused as refused:
        raise CommandFailed("; ".join(refused.lines), ExitCode.USAGE) from None


def _remote(given: dict[str, Any]) -> Remote:
    chosen = {name: given.pop(name) for name in ("server", "api_key")}
    return Remote.from_settings(load_settings(**chosen), given.pop("tenant"))
