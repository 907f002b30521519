"""The verifier that the operator chose, by the file of ``LIKENESS_ATTESTATION``."""

import json
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from likeness.errors import SetupError
from likeness.sessions.attestation.base import AttestationVerifier
from likeness.sessions.attestation.play_integrity import PlayIntegrity

MakeVerifier = Callable[[Mapping[str, Any]], AttestationVerifier]

ENTRY_POINTS = "likeness.attestation"
"""The group of entry points of further verifiers. Each is a function or class that takes the file's options."""
LARGEST_FILE = 64 * 1024
_BUILT_IN: dict[str, MakeVerifier] = {PlayIntegrity.name: PlayIntegrity}


def load_verifier(path: Path | None) -> AttestationVerifier | None:
    """Return the verifier that a file names, or None without a file. Raises SetupError."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        options = json.loads(content) if len(content) <= LARGEST_FILE else None
    except OSError as error:
        raise SetupError(f"LIKENESS_ATTESTATION names {path}, which cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SetupError(f"{path} is no JSON.") from error
    if not isinstance(options, dict) or not isinstance(name := options.pop("verifier", None), str):
        raise SetupError(f'{path} must be a JSON object with a "verifier".')
    return _maker(name)(options)


def _maker(name: str) -> MakeVerifier:
    if (built_in := _BUILT_IN.get(name)) is not None:
        return built_in
    further = entry_points(group=ENTRY_POINTS)
    for one in further:
        if one.name == name:
            make: MakeVerifier = one.load()
            return make
    known = ", ".join(sorted({*_BUILT_IN, *further.names}))
    raise SetupError(f"There is no verifier of attestations {name}. Known: {known}.")
