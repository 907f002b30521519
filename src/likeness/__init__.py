"""Likeness: an open, self-hosted Face API."""

import os
from importlib.metadata import version

# ONNX Runtime's Linux wheels report to their maker unless this is set when they are first imported. Every process of
# ours, and its children, passes here before.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = version("likeness-server")
