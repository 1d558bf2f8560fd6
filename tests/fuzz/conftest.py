"""How hard the parsers are tried: a little in each run of the tests, for minutes by `make fuzz`."""

from hypothesis import settings

settings.register_profile("fuzz", settings.get_profile("tidings"), max_examples=5_000)
