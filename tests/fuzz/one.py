"""Fuzz one target in this process: one.py TARGET [options of libFuzzer] [folders].

``LIKENESS_FUZZ_NATIVE`` names the compiled module that is built with AddressSanitizer.
"""

import importlib.util
import os
import sys
from pathlib import Path

import atheris


def _use_checked_module(file: str) -> None:
    """Take the module of a file for ``likeness.index._native``."""
    spec = importlib.util.spec_from_file_location("likeness.index._native", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["likeness.index._native"] = module


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["likeness.engine.photo", "likeness.web", "likeness.sessions.capture"]):
        if native := os.environ.get("LIKENESS_FUZZ_NATIVE"):
            import likeness.index  # noqa: PLC0415

            assert likeness.index
            _use_checked_module(native)
        from fuzz.targets import TARGETS  # noqa: PLC0415
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
