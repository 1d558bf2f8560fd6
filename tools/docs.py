"""Write the pages of docs/reference that are printed from the code: `make docs`.

A test compares them with what stands there, so that they cannot fall behind.
"""

import inspect
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from tidings.api.problems import HttpFault, status_of
from tidings.cli.main import app
from tidings.cli.output import MEANINGS, exit_code_of
from tidings.core import addresses, delivery, subscription
from tidings.core.refusals import Refusal
from tidings.settings import PREFIX, Settings, what_it_takes

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
_SHARED = {"--server", "--api-key", "--tenant", "--json", "--help"}
_PRINTED = "<!-- Printed from the code by `make docs`; changes made here are lost. -->"


def pages() -> Mapping[str, str]:
    """The text of every page, by its name."""
    made = {
        "settings.md": _settings(),
        "cli.md": _commands(),
        "addresses.md": _addresses(),
        "exit-codes.md": _exit_codes(),
        "problems.md": _problems(),
        "delivery-life.md": _delivery_life(),
        "subscription-states.md": _subscription_states(),
    }
    return {name: "\n".join([*lines]).rstrip() + "\n" for name, lines in made.items()}


def _head(title: str, about: str) -> Iterator[str]:
    yield from (f"# {title}", "", _PRINTED, "", about, "")


def _table(*titles: str) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _about(thing: object) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(thing) or "").split("\n")[0]


# --- settings ------------------------------------------------------------------------------------


def _settings() -> Iterator[str]:
    yield from _head(
        "Settings",
        "Settings are environment variables. An option of `tidings serve` goes before its\n"
        "variable. A variable that is empty counts as one that is not set, and a name that is not\n"
        "on this page is refused.",
    )
    for name, field in Settings.model_fields.items():
        assert isinstance(field.json_schema_extra, dict)
        shown = str(field.json_schema_extra["shown"]) or f"`{_written(field.default)}`"
        yield from (
            f"## `{PREFIX}{name.upper()}`",
            "",
            f"{field.description}",
            "",
            f"- takes: {what_it_takes(field)}",
            f"- default: {shown}",
            "",
        )


def _written(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


# --- the command line ----------------------------------------------------------------------------


def _commands() -> Iterator[str]:
    yield from _head(
        "Command line",
        "Every command has `--help`. With `--json` it prints the JSON of the API and nothing\n"
        "else; without, what it prints is meant for people and may change.\n"
        "[How a command ended](exit-codes.md) is told by its exit code.\n\n"
        "Those that talk to a server also take `--server`, `--api-key` and `--tenant`; else they\n"
        "go by `TIDINGS_SERVER` and `TIDINGS_API_KEY`, and on the machine of the server by its\n"
        "address and the admin key in its data directory.",
    )
    program = typer.main.get_command(app)
    assert isinstance(program, TyperGroup)
    for name, command in program.commands.items():
        if isinstance(command, TyperGroup):
            yield from (f"## tidings {name}", "", _sentence(command.help), "")
            for inner, one in command.commands.items():
                yield from _command(f"tidings {name} {inner}", one, "###")
        else:
            yield from _command(f"tidings {name}", command, "##")


def _command(name: str, command: object, mark: str) -> Iterator[str]:
    assert isinstance(command, TyperCommand)
    arguments = [one for one in command.params if isinstance(one, TyperArgument)]
    options = [one for one in command.params if isinstance(one, TyperOption)]
    options = [one for one in options if not _SHARED.issuperset(one.opts)]
    usage = " ".join([name, *(_placeholder(one) for one in arguments), "[OPTIONS]"])
    yield from (f"{mark} {name}", "", "```text", usage, "```", "")
    yield from (_sentence(command.help), "")
    if arguments or options:
        yield from _table("argument or option", "meaning")
        for argument in arguments:
            yield _row(f"`{_placeholder(argument)}`", argument.help or "")
        for option in options:
            names = ", ".join(f"`{one}`" for one in (*option.opts, *option.secondary_opts))
            metavar = "" if option.is_flag else f" `{option.metavar or 'VALUE'}`"
            yield _row(names + metavar, option.help or "")
        yield ""


def _placeholder(argument: TyperArgument) -> str:
    return str(argument.metavar) if argument.required else f"[{argument.metavar}]"


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())


# --- refusals ------------------------------------------------------------------------------------


def _exit_codes() -> Iterator[str]:
    yield from _head(
        "Exit codes",
        "A command that fails says why in one line on standard error, and ends with one of these.\n"
        "The [codes of problems](problems.md) that lead to them are those of the API.",
    )
    refusals: dict[int, list[str]] = {}
    for refusal in _leaves(Refusal):
        refusals.setdefault(exit_code_of(refusal), []).append(f"`{refusal.code}`")
    yield from _table("exit code", "meaning", "problems of the API")
    for code, meaning in MEANINGS.items():
        yield _row(int(code), meaning, ", ".join(refusals.get(code, [])))


def _problems() -> Iterator[str]:
    yield from _head(
        "Problems",
        "Every answer that is not a success is `application/problem+json`\n"
        "([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)). Programs go by `code`, people by\n"
        "`detail`; `errors` says which members of a body are wrong, and `errorClass` why an\n"
        "endpoint did not prove that it wants events.",
    )
    yield from _table("status", "code", "title", "meaning")
    known = [(status_of(one), one.code, one.title, _about(one)) for one in _leaves(Refusal)]
    known += [(one.status, one.code, one.title, _about(one)) for one in HttpFault.__subclasses__()]
    for status, code, title, meaning in sorted(known):
        yield _row(status, f"`{code}`", title, meaning)


def _leaves(refusal: type[Refusal]) -> Iterator[type[Refusal]]:
    if refusal.code:
        yield refusal
    for narrower in refusal.__subclasses__():
        yield from _leaves(narrower)


# --- addresses -----------------------------------------------------------------------------------


def _addresses() -> Iterator[str]:
    yield from _head(
        "Addresses that are never called",
        "A callback URL leads to none of these, neither as it is written nor by what its name\n"
        "resolves to at the moment of a connection. An operator may add networks by\n"
        "`TIDINGS_DENIED_NETWORKS`, and exempt some by `TIDINGS_ALLOWED_NETWORKS`; see\n"
        "[settings](settings.md). How this is enforced and tested stands in\n"
        "[security](../security.md).",
    )
    yield from ("## IPv4", "", *_networks(addresses.DENIED_IPV4), "")
    yield from ("An IPv4 address in IPv6 notation, `::ffff:0:0/96`, is judged as itself.", "")
    yield from ("## IPv6", "")
    yield from (f"All that lies outside of `{addresses.GLOBAL_IPV6}`, and within:", "")
    yield from (*_networks(addresses.DENIED_IPV6), "")
    yield from (
        "Some of what is denied carries an IPv4 address: these networks in their last bits, 6to4",
        "(`2002::/16`) and Teredo (`2001::/32`) elsewhere. Even where an operator exempts them,",
        "the address within must be one that may be called.",
        "",
        *_networks(addresses.IPV4_IN_THE_LAST_BITS),
        "",
    )
    yield from (
        "## Names",
        "",
        "Names are a first filter; addresses decide. Where an operator has exempted networks,",
        "these names may lead there and nowhere else; otherwise they are refused as they stand:",
        "names of one label, such as `localhost`, and these.",
        "",
    )
    yield from (f"- `{name}`" for name in sorted(addresses.DENIED_NAMES))
    yield from (f"- all names that end in `{suffix}`" for suffix in addresses.DENIED_SUFFIXES)


def _networks(networks: Mapping[IPv4Network, str] | Mapping[IPv6Network, str]) -> Iterator[str]:
    yield from _table("network", "what it is")
    for network, about in networks.items():
        yield _row(f"`{network}`", about)


# --- lives ---------------------------------------------------------------------------------------


def _delivery_life() -> Iterator[str]:
    yield from _head(
        "A delivery's life",
        "Every way that a delivery can go. Only a replay leaves a final state: it is the same\n"
        "delivery then, with the same `webhook-id`, and its retry schedule begins anew.",
    )
    steps = {turn: (before, after) for (before, turn), after in delivery.TRANSITIONS.items()}
    yield from _diagram(
        delivery.DeliveryStatus.PENDING,
        [(before, turn, after) for (before, turn), after in delivery.TRANSITIONS.items()],
    )
    yield from ("A dead letter says why it became one:", "")
    yield from _table("`deadLetterReason`", "after")
    for turn, reason in delivery.REASONS.items():
        assert steps[turn][1] is delivery.DeliveryStatus.DEAD_LETTERED
        yield _row(f"`{reason}`", _spaced(turn))


def _subscription_states() -> Iterator[str]:
    yield from _head(
        "A subscription's states",
        "Every change that is possible; any other is refused with `invalid_state`. What they mean\n"
        "stands in [the guide](../guides/subscriptions.md#states). A subscription begins as\n"
        "`pending_verification` where [endpoints must prove](../guides/verification.md) that they\n"
        "want events, and only there does it start over: when its callback URL is changed, and\n"
        "when it is resumed without ever having been proven.",
    )
    yield from _diagram(
        subscription.Status.ACTIVE,
        [(before, change, after) for (before, change), after in subscription.TRANSITIONS.items()],
    )


def _diagram(first: str, steps: list[tuple[str, str, str]]) -> Iterator[str]:
    """A Mermaid diagram. Several ways between the same two states share an arrow."""
    ways: dict[tuple[str, str], list[str]] = {}
    for before, step, after in steps:
        ways.setdefault((before, after), []).append(_spaced(step))
    final = {after for _, after in ways} - {before for before, after in ways if before != after}
    yield from ("```mermaid", "stateDiagram-v2", f"    [*] --> {first}")
    for (before, after), names in ways.items():
        yield f"    {before} --> {after}: {', '.join(names)}"
    yield from (f"    {state} --> [*]" for state in sorted(final))
    yield from ("```", "")


def _spaced(name: str) -> str:
    return str(name).replace("_", " ")


if __name__ == "__main__":
    for _name, _text in pages().items():
        (REFERENCE / _name).write_text(_text, encoding="utf-8")
        print(f"docs/reference/{_name}")
