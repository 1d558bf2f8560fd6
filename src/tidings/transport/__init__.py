"""The network: the one guarded way on which requests leave for receivers."""

from tidings.transport.sender import AiohttpTransport

__all__ = ["AiohttpTransport"]
