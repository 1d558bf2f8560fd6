"""The HTTP API: translates requests into operations, and what comes of them into answers."""
