"""The command line: what the API offers, and a server, for people in a terminal and for scripts."""
