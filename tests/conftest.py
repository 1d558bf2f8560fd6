"""What holds for every test: nothing from the caller's environment, and no haste."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support import tally

pytest_plugins = ["tests.support.postgres_fixtures"]

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

# How long an example takes says more about the machine than about the code.
settings.register_profile(
    "tidings",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tidings")
# How hard `make fuzz` tries: for minutes.
settings.register_profile("fuzz", settings.get_profile("tidings"), max_examples=5_000)


def pytest_configure() -> None:
    """Forget settings and proxies before any fixture, of whatever scope, can read them."""
    for name in list(os.environ):
        is_ours = name.startswith("TIDINGS_") and not name.startswith("TIDINGS_TEST_")
        if is_ours or name.lower() in _PROXIES:
            del os.environ[name]


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Undo what a command that runs in this process did to the files of all tests after it."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Count what this test tries for its family."""
    tally.begin(item.nodeid.partition("::")[0])


def pytest_sessionfinish() -> None:
    """Leave the counts to whoever asked for them."""
    tally.leave()
