"""What holds for every test: nothing from the caller's environment, and no haste."""

import os

from hypothesis import HealthCheck, settings

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

# How long an example takes says more about the machine than about the code.
settings.register_profile(
    "tidings",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tidings")


def pytest_configure() -> None:
    """Forget settings and proxies before any fixture, of whatever scope, can read them."""
    for name in list(os.environ):
        if name.startswith("TIDINGS_") or name.lower() in _PROXIES:
            del os.environ[name]
