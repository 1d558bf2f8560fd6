"""The only reader of the environment: every setting with its meaning, unit, default and limit.

A setting `port` is read from `TIDINGS_PORT`. The fields are all there is: the reference page
`docs/reference/settings.md` is generated from them, and a name that is none of them is refused, so
that a misspelt setting cannot go unnoticed. What this version cannot do yet is refused as well,
never read and ignored.
"""

from tidings.settings.environment import PREFIX, SettingsRefused, what_it_takes, without_settings
from tidings.settings.fields import DATABASE_NAME, Settings

__all__ = [
    "DATABASE_NAME",
    "PREFIX",
    "Settings",
    "SettingsRefused",
    "what_it_takes",
    "without_settings",
]
