"""Tidings: a self-hosted webhooks platform that brings each event to every subscriber."""

__all__ = ["__version__"]

__version__ = "0.1.0"
