"""Callback URLs: parsed once, strictly, and rebuilt from the parts, so no two parsers disagree.

What is sent to is the rebuilt URL, never the text as given. Nothing here resolves a name: that a
name means an inner address is found out, and refused, at each connection.
"""

import re
from dataclasses import dataclass
from typing import Final

from tidings.core import limits
from tidings.core.addresses import AddressRules, address_fault, literal_address, name_is_denied
from tidings.core.refusals import CallbackUrlRefused, Fault

DEFAULT_PORTS: Final = {"https": 443, "http": 80}

# RFC 3986 with an authority, and nothing else: no user, no fragment, no character to be quoted.
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?",
    re.ASCII,
)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_LOOKS_NUMERIC: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.ASCII)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_HOST_LENGTH_MAX: Final = 253
_PORT_MAX: Final = 65_535


@dataclass(frozen=True, slots=True)
class CallbackUrl:
    """A URL that may be called, as far as that can be told without resolving its name.

    `host` is in lower case and without brackets; `target` is path and query as they are sent.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as they stand in the Host header: a default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_default = self.port == DEFAULT_PORTS[self.scheme]
        return host if is_default else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL rebuilt from its parts."""
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_callback_url(text: str, rules: AddressRules) -> CallbackUrl:
    """Parse a callback URL and judge what can be judged. Raises `CallbackUrlRefused`."""
    if len(text) > limits.CALLBACK_URL_LENGTH_MAX:
        raise _refused(f"a callback URL has at most {limits.CALLBACK_URL_LENGTH_MAX} characters")
    found = _URL.fullmatch(text)
    if found is None:
        raise _refused(_what_is_wrong(text))
    scheme = found["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise _refused("only https URLs can be called")
    if scheme == "http" and not rules.allow_http:
        raise _refused("only https URLs are called; the operator may allow http")
    target = found["target"] or "/"
    if target.startswith("?"):
        target = "/" + target
    if _BAD_ESCAPE.search(target):
        raise _refused("a % in the URL must be followed by two hexadecimal digits")
    port = DEFAULT_PORTS[scheme] if found["port"] is None else int(found["port"])
    if not 1 <= port <= _PORT_MAX:
        raise _refused("the port lies outside of 1 to 65535")
    if rules.allowed_ports and port not in rules.allowed_ports:
        raise _refused(f"the operator does not allow the port {port}")
    return CallbackUrl(scheme, _judged_host(found["host"].lower(), rules), port, target)


def _judged_host(host: str, rules: AddressRules) -> str:
    bare = host.removeprefix("[").removesuffix("]")
    address = literal_address(bare)
    if address is not None:
        fault = address_fault(address, rules)
        if fault is not None:
            raise _refused(f"{fault}; it is never called")
        bare = str(address)
    elif host.startswith("["):
        raise _refused("what stands in brackets is no IPv6 address")
    else:
        bare = bare.removesuffix(".")
        labels = bare.split(".")
        if len(bare) > _HOST_LENGTH_MAX or not all(_LABEL.fullmatch(one) for one in labels):
            raise _refused(
                "the host name is not valid; write names beyond ASCII in their xn-- form"
            )
        if _LOOKS_NUMERIC.fullmatch(labels[-1]):
            # Resolvers take such names for addresses in odd spellings: 0x7f.1, 2130706433, 127.1
            raise _refused("an IP address must be written in its usual form")
        if name_is_denied(bare) and not rules.allowed_networks:
            raise _refused(f"the host name {bare} belongs to an inner network; it is never called")
    if bare in rules.own_hosts:
        raise _refused("the URL points back to this server")
    if rules.allowed_hosts and bare not in rules.allowed_hosts:
        raise _refused("the operator does not allow this host")
    return bare


def _what_is_wrong(text: str) -> str:
    """Why a text is no callback URL, as helpful as can be without a second parser."""
    if not text.isascii():
        return "a callback URL is ASCII; write host names in their xn-- form, all else with %"
    if any(one <= " " or one in "\x7f\\" for one in text):
        return "a callback URL has no spaces, control characters or backslashes"
    if "@" in text.partition("://")[2].partition("/")[0]:
        return "a callback URL carries no user name or password"
    if "#" in text:
        return "a callback URL carries no fragment (#)"
    return "it is no absolute URL such as https://client.example.com/webhooks"


def _refused(detail: str) -> CallbackUrlRefused:
    return CallbackUrlRefused(
        f"the callback URL is refused: {detail}", faults=[Fault("/callback_url", detail)]
    )
