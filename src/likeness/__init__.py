"""Likeness: an open, self-hosted Face API."""

import os
from importlib.metadata import version

# ONNX Runtime's Linux wheels send telemetry to their maker, unless this is set at their first import. Every process of
# Likeness, and its children, runs this line before.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = version("likeness-server")
