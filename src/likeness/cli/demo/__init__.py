"""``likeness demo``: a server that proves itself on real photos, then stays up."""

from likeness.cli.demo.command import demo

__all__ = ["demo"]
