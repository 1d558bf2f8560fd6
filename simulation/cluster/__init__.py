"""Several workers and one database, to try who owns what: a small world of its own.

The rules are those of `tidings.core.ownership`; all around them is simulated: the tables with their
atomic statements, clocks that go wrong, pauses, and a network that loses, delays and repeats.
"""
