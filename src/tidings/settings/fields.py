"""Every setting with its meaning, default and limit: the one place where a setting is added."""

from base64 import b64decode
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from tidings.core import egress_proxy as egress
from tidings.core import limits
from tidings.core.verification import Verification
from tidings.settings import environment
from tidings.settings.values import (
    ADMIN_KEY_LENGTH_MIN,
    ENCRYPTION_KEY_BYTES,
    POSTGRES_PREFIXES,
    SQLITE_PREFIX,
    AdminKey,
    BaseUrl,
    DatabaseUrl,
    EgressProxy,
    EncryptionKey,
    Host,
    LogFormat,
    LogLevel,
    Names,
    Networks,
    Ports,
    Role,
)

DATABASE_NAME: Final = "tidings.db"


def _setting(default: Any, meaning: str, takes: str, *, shown: str = "", **bounds: Any) -> Any:
    """A setting: its default, what it means, what it takes, and how the default is written."""
    return Field(
        default,
        description=meaning,
        validate_default=False,
        json_schema_extra={"takes": takes, "shown": shown},
        **bounds,
    )


def _whole(default: int, low: int, high: int, meaning: str) -> Any:
    takes = f"a whole number from {low:,} to {high:,}"
    return _setting(default, meaning, takes, ge=low, le=high)


def _limit(high: int, meaning: str) -> Any:
    takes = f"a whole number from 1 to {high:,}"
    return _setting(None, meaning, takes, shown="no limit", ge=1, le=high)


def _days(default: float, high: int, meaning: str) -> Any:
    takes = f"a number of days above 0, up to {high:,}"
    return _setting(default, meaning, takes, gt=0, le=high, allow_inf_nan=False)


def _switch(meaning: str) -> Any:
    return _setting(False, meaning, "`true` or `false`")  # noqa: FBT003 - what a switch starts as


def _one_of(default: str, choices: Any, meaning: str) -> Any:
    return _setting(default, meaning, " or ".join(f"`{one}`" for one in get_args(choices)))


def _own_url(before: Mapping[str, Any]) -> str:
    host = str(before.get("host", ""))
    return f"http://{f'[{host}]' if ':' in host else host}:{before.get('port')}"


class Settings(BaseModel):
    """All settings. They never change while the program runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_dir: Path = _setting(
        Path("tidings-data"),
        "Where the server keeps its files: the database, the encryption key and the first admin "
        "key. It is made when it is missing, readable by its owner alone.",
        "a directory",
        shown="./tidings-data",
    )
    database_url: DatabaseUrl | None = _setting(
        None,
        "The database. `sqlite:///tidings.db` is relative to where the server starts, "
        "`sqlite:////var/lib/tidings.db` is not. With PostgreSQL, 15 or newer, several servers "
        "share one database; see [operations](../operations.md).",
        "`sqlite:///` and the path of a file, or `postgresql://user:password@host:port/database`",
        shown="`tidings.db` in `TIDINGS_DATA_DIR`",
    )
    host: Host = _setting(
        "127.0.0.1",
        "The address that the server listens on. `0.0.0.0` is every address of the machine.",
        "an IP address or a name of this machine",
    )
    port: int = _whole(8080, 1, 65_535, "The TCP port that the server listens on.")
    role: Role = _one_of(
        "all",
        Role,
        "What this process does: `api` answers requests, `worker` brings deliveries to receivers "
        "and answers only about itself, `all` does both. Others than `all` need PostgreSQL.",
    )
    public_url: BaseUrl = Field(
        default_factory=_own_url,
        description="How clients reach the server from outside. Every URL that the server gives "
        "out begins with it; the `Host` header of a request is never used for that.",
        json_schema_extra={
            "takes": "an `http://` or `https://` URL without query, fragment or user",
            "shown": "`http://` and the host and port above",
        },
    )
    admin_key: AdminKey | None = _setting(
        None,
        "An API key that may do everything. It is stored, as a hash, when the server starts, and "
        "holds until it is revoked. Without it a server on fresh data makes one, prints it once "
        "and keeps it in `admin.key` in `TIDINGS_DATA_DIR`.",
        f"{ADMIN_KEY_LENGTH_MIN} or more visible ASCII characters",
        shown="made at the first start",
    )
    encryption_key: EncryptionKey | None = _setting(
        None,
        "The key under which signing secrets and custom headers are stored. Whoever has the "
        "database but not the key cannot read them, and neither can you: keep a copy elsewhere.",
        f"{ENCRYPTION_KEY_BYTES} bytes in base64",
        shown="made at the first start, in `encryption.key` in `TIDINGS_DATA_DIR`",
    )
    new_encryption_key: EncryptionKey | None = _setting(
        None,
        "The key that `tidings database reencrypt` puts in place of the present one. `serve` "
        "ignores it.",
        f"{ENCRYPTION_KEY_BYTES} bytes in base64",
        shown="made by `tidings database reencrypt`",
    )
    allow_http: bool = _switch(
        "Whether callback URLs may begin with `http://`. Bodies then travel unencrypted; "
        "signatures still prove where they come from.",
    )
    allowed_networks: Networks = _setting(
        (),
        "Networks that may be called although they are private, loopback or otherwise denied.",
        "networks such as `10.0.0.0/8`, separated by commas",
        shown="none",
    )
    denied_networks: Networks = _setting(
        (),
        "Networks that are never called, besides those that never are anyway.",
        "networks such as `203.0.113.0/24`, separated by commas",
        shown="none",
    )
    allowed_callback_hosts: Names = _setting(
        (),
        "When set, only these hosts may be called.",
        "host names, separated by commas",
        shown="every host",
    )
    allowed_ports: Ports = _setting(
        (),
        "When set, only these ports may be called.",
        "whole numbers from 1 to 65,535, separated by commas",
        shown="every port",
    )
    egress_proxy: EgressProxy | None = _setting(
        None,
        "A proxy through which everything is sent to receivers, by `CONNECT`. It resolves their "
        "names, so it must be one that lets nobody reach the inside of your network; see "
        "[security](../security.md). User and password are percent-encoded.",
        "an `http://` URL with a port, such as `http://user:password@proxy.example.com:4750`",
        shown="none",
    )
    verification: Verification = _setting(
        Verification.OFF,
        "Whether an endpoint must prove that it wants events. `required`: nothing is sent before "
        "`POST …/verify` has brought an answer to a challenge, and a changed callback URL starts "
        "over. `optional`: subscriptions are active at once, and can be verified all the same. "
        "`off`: no challenge is ever sent.",
        "`required`, `optional` or `off`",
    )
    require_strong_secrets: bool = _switch(
        "Whether signing secrets that subscribers choose must be `whsec_` and 24 to 64 bytes in "
        "base64, instead of any 8 to 256 characters.",
    )
    event_bytes_max: int = _whole(
        limits.EVENT_BYTES_MAX_DEFAULT,
        1_024,
        limits.EVENT_BYTES_MAX_LIMIT,
        "How many bytes the body of one published event may have.",
    )
    concurrency_max: int = _whole(
        limits.CONCURRENCY_MAX_DEFAULT,
        1,
        10_000,
        "How many requests to receivers may be in flight at once. Each holds a file descriptor.",
    )
    disable_after_days: float = _days(
        5,
        365,
        "How many days an endpoint may fail without one success until its subscription is "
        "disabled.",
    )
    retention_days: float = _days(
        30,
        3_650,
        "How many days events, deliveries and attempts are kept.",
    )
    subscriptions_max: int = _whole(
        100_000,
        1,
        10_000_000,
        "How many subscriptions a tenant may have. That is also how many deliveries one event can "
        "lead to.",
    )
    equal_subscriptions_max: int = _whole(
        limits.EQUAL_SUBSCRIPTIONS_MAX_DEFAULT,
        1,
        10_000_000,
        "How many subscriptions of a tenant may have the same callback URL and the same event "
        "types, literally.",
    )
    events_per_second_max: int | None = _limit(
        1_000_000,
        "How many events a tenant may publish in a second, those in batches counted singly; after "
        "a quiet time as many at once as in 10 seconds. Repeats of accepted events are answered "
        "all the same.",
    )
    backlog_max: int | None = _limit(
        1_000_000_000,
        "How many unfinished deliveries a tenant may have, held and paused ones included. While it "
        "has so many or more, its new events are refused unless nobody wants them.",
    )
    key_requests_per_second_max: int | None = _limit(
        1_000_000,
        "How many requests an API key may make in a second, a batch counted once; after a quiet "
        "time as many at once as in 10 seconds.",
    )
    log_level: LogLevel = _one_of("info", LogLevel, "From which level on the server logs.")
    log_format: LogFormat = _one_of(
        "json",
        LogFormat,
        "How the server logs: `json` for programs, `console` for people (the default of `serve "
        "--dev`).",
    )
    server: BaseUrl | None = _setting(
        None,
        "Which server the commands of the terminal talk to. `serve` ignores it.",
        "an `http://` or `https://` URL without query, fragment or user",
        shown="`http://127.0.0.1:8080`",
    )
    api_key: SecretStr | None = _setting(
        None,
        "The API key that the commands of the terminal use. `serve` ignores it.",
        "an API key",
        shown="the one in `admin.key` in `TIDINGS_DATA_DIR`, if it can be read",
    )

    @property
    def is_loopback(self) -> bool:
        """Whether the server can be reached from this machine alone."""
        try:
            return self.host == "localhost" or ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def is_postgres(self) -> bool:
        """Whether the database is on a PostgreSQL server."""
        return self.database_url is not None and self.database_url.startswith(POSTGRES_PREFIXES)

    @property
    def database_path(self) -> Path:
        """The file of the SQLite database."""
        assert not self.is_postgres
        if self.database_url is None:
            return self.data_dir / DATABASE_NAME
        return Path(self.database_url.removeprefix(SQLITE_PREFIX))

    @property
    def encryption_key_path(self) -> Path:
        """Where the encryption key is kept unless the environment gives it."""
        return self.data_dir / "encryption.key"

    @property
    def admin_key_path(self) -> Path:
        """Where the first admin key is kept unless the environment gives it."""
        return self.data_dir / "admin.key"

    @property
    def egress_proxy_parts(self) -> egress.EgressProxy | None:
        """The proxy, taken apart."""
        if self.egress_proxy is None:
            return None
        return egress.parse_egress_proxy(self.egress_proxy.get_secret_value())

    @property
    def encryption_key_bytes(self) -> bytes:
        """The encryption key itself, where the environment gives it."""
        assert self.encryption_key is not None
        return b64decode(self.encryption_key.get_secret_value())

    @property
    def new_encryption_key_bytes(self) -> bytes | None:
        """The key that is to follow, where the environment gives it."""
        if self.new_encryption_key is None:
            return None
        return b64decode(self.new_encryption_key.get_secret_value())

    @classmethod
    def load(
        cls, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
    ) -> Self:
        """The settings of the environment; `overrides` are options of the command line.

        An option that is None was not given, and an empty variable counts as one that is not set.
        Raises `SettingsRefused` with every fault there is.
        """
        return environment.read(cls, environ, overrides or {})
