"""The tests. This file keeps the name `tests` ours; the folders below are no packages."""
