"""The network: sends requests to receivers, and trusts neither their names nor their answers."""

from tidings.transport.resolving import Resolver
from tidings.transport.sender import HttpTransport

__all__ = ["HttpTransport", "Resolver"]
