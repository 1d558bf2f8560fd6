"""How the texts of the environment become values, and what this version cannot take yet."""

from base64 import b64decode
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from tidings.core.addresses import Network, parse_network
from tidings.core.egress_proxy import parse_egress_proxy

ADMIN_KEY_LENGTH_MIN: Final = 16
ENCRYPTION_KEY_BYTES: Final = 32
SQLITE_PREFIX: Final = "sqlite:///"
POSTGRES_PREFIXES: Final = ("postgresql://", "postgres://")

LogLevel = Literal["debug", "info", "warning", "error"]
Role = Literal["all", "api", "worker"]
LogFormat = Literal["json", "console"]


def _must(be_right: Callable[[Any], bool]) -> AfterValidator:
    """Take only what a predicate holds for."""

    def checked(value: Any) -> Any:
        if not be_right(value):
            raise ValueError("not what it takes")
        return value

    return AfterValidator(checked)


def _parts(value: Any) -> Any:
    """The parts of a comma-separated text."""
    if isinstance(value, str):
        return tuple(part for one in value.split(",") if (part := one.strip()))
    return value


def _networks(value: Any) -> Any:
    return tuple(parse_network(part) if isinstance(part, str) else part for part in _parts(value))


def _is_base_url(value: str) -> bool:
    parts = urlsplit(value)
    is_plain = not any(one in value for one in "?# ") and "@" not in parts.netloc
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_plain


def _is_database_url(value: str) -> bool:
    if value.startswith(POSTGRES_PREFIXES):
        parts = urlsplit(value)
        return bool(parts.netloc) and bool(parts.path.strip("/")) and not parts.fragment
    return value.startswith(SQLITE_PREFIX) and bool(value.removeprefix(SQLITE_PREFIX).strip("/"))


def _is_admin_key(key: SecretStr) -> bool:
    text = key.get_secret_value()
    return len(text) >= ADMIN_KEY_LENGTH_MIN and all("!" <= one <= "~" for one in text)


def _is_egress_proxy(url: SecretStr) -> bool:
    try:
        parse_egress_proxy(url.get_secret_value())
    except ValueError:
        return False
    return True


def _is_encryption_key(key: SecretStr) -> bool:
    try:
        return len(b64decode(key.get_secret_value(), validate=True)) == ENCRYPTION_KEY_BYTES
    except ValueError:
        return False


BaseUrl = Annotated[str, _must(_is_base_url), AfterValidator(lambda url: url.rstrip("/"))]
DatabaseUrl = Annotated[str, _must(_is_database_url)]
EgressProxy = Annotated[SecretStr, _must(_is_egress_proxy)]
Host = Annotated[str, _must(lambda host: not set(host) & set("/@?# "))]
AdminKey = Annotated[SecretStr, _must(_is_admin_key)]
EncryptionKey = Annotated[SecretStr, _must(_is_encryption_key)]
Ports = Annotated[tuple[Annotated[int, Field(ge=1, le=65_535)], ...], BeforeValidator(_parts)]
Names = Annotated[tuple[str, ...], BeforeValidator(_parts)]
Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks)]
