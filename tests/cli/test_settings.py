"""Settings: what is taken, what is refused, and that no fault stays unnamed or tells a secret."""

import base64
from ipaddress import ip_network
from pathlib import Path

import pytest

from tidings.core.verification import Verification
from tidings.settings import PREFIX, Settings, SettingsRefused, what_it_takes, without_settings

KEY = base64.b64encode(bytes(range(32))).decode()


def load(**settings: str) -> Settings:
    return Settings.load({PREFIX + name: value for name, value in settings.items()})


def faults(**settings: str) -> tuple[str, ...]:
    with pytest.raises(SettingsRefused) as refused:
        load(**settings)
    return refused.value.lines


def test_nothing_has_to_be_set() -> None:
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.public_url == "http://127.0.0.1:8080"
    assert settings.data_dir == Path("tidings-data")
    assert settings.database_path == Path("tidings-data/tidings.db")
    assert settings.retention_days == 30
    assert settings.disable_after_days == 5
    assert settings.log_format == "json"


def test_values_are_taken() -> None:
    settings = load(
        ALLOWED_NETWORKS="10.0.0.0/8, ::1/128",
        ALLOWED_CALLBACK_HOSTS="a.example.com,b.example.com",
        ALLOWED_PORTS="443, 8443",
        ALLOW_HTTP="true",
        EGRESS_PROXY="http://user:pass@proxy.example.com:4750",
        ENCRYPTION_KEY=KEY,
        PUBLIC_URL="https://api.example.com/",
        RETENTION_DAYS="0.5",
        VERIFICATION="required",
    )
    assert settings.allowed_networks == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert settings.allowed_callback_hosts == ("a.example.com", "b.example.com")
    assert settings.allowed_ports == (443, 8443)
    assert settings.egress_proxy_parts is not None
    assert settings.egress_proxy_parts.host == "proxy.example.com"
    assert settings.allow_http
    assert settings.encryption_key_bytes == bytes(range(32))
    assert settings.public_url == "https://api.example.com"
    assert settings.retention_days == 0.5
    assert settings.verification is Verification.REQUIRED


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///here.db", Path("here.db")),
        ("sqlite:////var/lib/tidings.db", Path("/var/lib/tidings.db")),
    ],
)
def test_a_database_url_names_a_file(url: str, path: Path) -> None:
    assert load(DATABASE_URL=url).database_path == path


def test_without_a_proxy_there_is_none() -> None:
    assert load().egress_proxy_parts is None


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(PORT="", ADMIN_KEY=" ") == load()


def test_options_go_before_variables() -> None:
    settings = Settings.load({"TIDINGS_PORT": "1", "TIDINGS_HOST": "::1"}, {"port": 2})
    assert (settings.port, settings.host) == (2, "::1")
    assert settings.public_url == "http://[::1]:2"


def test_an_option_that_was_not_given_changes_nothing() -> None:
    assert Settings.load({"TIDINGS_PORT": "1"}, {"port": None}).port == 1


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TIDINGS_PROT", "TIDINGS_PORT"),
        ("tidings_port", "TIDINGS_PORT"),
        ("TIDINGS_RETENTION_DAY", "TIDINGS_RETENTION_DAYS"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(name: str, meant: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        Settings.load({name: "1"})
    assert refused.value.lines == (f"{name} is no setting; did you mean {meant}?",)


def test_an_unknown_name_that_resembles_nothing_is_refused_too() -> None:
    assert faults(COLOUR="blue") == ("TIDINGS_COLOUR is no setting",)


def test_other_variables_are_none_of_our_business() -> None:
    assert Settings.load({"PORT": "none", "MY_TIDINGS_X": "1"}) == load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADMIN_KEY", "too-short"),
        ("EGRESS_PROXY", "https://proxy.example.com:3128"),
        ("EGRESS_PROXY", "http://proxy.example.com"),
        ("ADMIN_KEY", "with a space in the middle"),
        ("ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("ALLOWED_PORTS", "443,0"),
        ("ALLOW_HTTP", "perhaps"),
        ("CONCURRENCY_MAX", "0"),
        ("DATABASE_URL", "mysql://db/tidings"),
        ("DATABASE_URL", "sqlite:///"),
        ("DISABLE_AFTER_DAYS", "0"),
        ("DISABLE_AFTER_DAYS", "nan"),
        ("ENCRYPTION_KEY", "not base64!"),
        ("ENCRYPTION_KEY", base64.b64encode(b"short").decode()),
        ("EVENT_BYTES_MAX", "1048577"),
        ("HOST", "http://here"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("PUBLIC_URL", "api.example.com"),
        ("PUBLIC_URL", "https://user@api.example.com"),
        ("PUBLIC_URL", "https://api.example.com/?x"),
        ("RETENTION_DAYS", "forever"),
        ("ROLE", "boss"),
        ("SERVER", "127.0.0.1:8080"),
        ("SUBSCRIPTIONS_MAX", "-1"),
        ("VERIFICATION", "maybe"),
        ("VERIFICATION", "REQUIRED"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_it_and_what_is_taken(
    name: str, value: str
) -> None:
    (line,) = faults(**{name: value})
    assert line.startswith(PREFIX + name)
    assert what_it_takes(Settings.model_fields[name.lower()]).replace("`", "") in line


def test_every_fault_is_told_at_once() -> None:
    assert len(faults(PORT="x", ROLE="boss", LOG_LEVEL="loud", NOTHING="1")) == 4


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_postgresql_url_names_a_server_and_a_database(scheme: str) -> None:
    assert load(DATABASE_URL=f"{scheme}://tidings@db:5433/tidings?sslmode=require").is_postgres
    assert not load().is_postgres
    for wrong in ("", "//", "//db", "//db/", "///tidings"):
        assert faults(DATABASE_URL=f"{scheme}:{wrong}")


@pytest.mark.parametrize("name", ["ADMIN_KEY", "ENCRYPTION_KEY", "EGRESS_PROXY"])
def test_no_fault_tells_a_secret(name: str) -> None:
    assert "hush" not in str(faults(**{name: "hush"}))
    assert "hush" not in str(faults(DATABASE_URL="oracle://u:hush@db/x"))


def test_secrets_are_never_printed() -> None:
    settings = load(
        ADMIN_KEY="a-very-secret-key",
        API_KEY="another-secret",
        EGRESS_PROXY="http://user:another-secret@proxy.example.com:4750",
        ENCRYPTION_KEY=KEY,
    )
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "secret-key" not in text
        assert KEY not in text
        assert "another-secret" not in text


def test_settings_never_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("tidings.example.com", False),
    ],
)
def test_loopback_is_known(host: str, is_loopback: bool) -> None:
    assert load(HOST=host).is_loopback is is_loopback


def test_an_environment_can_be_had_without_settings() -> None:
    environ = {"TIDINGS_PORT": "1", "tidings_x": "2", "PATH": "/bin"}
    assert without_settings(environ) == {"PATH": "/bin"}


def test_every_setting_says_what_it_means_and_takes() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert what_it_takes(field), name
