"""The one place that knows everybody: settings become a store, an engine and a server."""

from tidings.wiring.running import running
from tidings.wiring.serving import serve

__all__ = ["running", "serve"]
