"""Likeness: an open, self-hosted Face API."""

from importlib.metadata import version

__version__ = version("likeness-server")
