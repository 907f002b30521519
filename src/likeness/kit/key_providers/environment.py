"""The master key in an environment variable, for a secret manager that sets the variables of a process."""

import base64
import binascii

from likeness.errors import SetupError
from likeness.kit.envelope import KEY_BYTES, LocalKey


def key_of_environment(text: str | None) -> LocalKey:
    """Give the key that a variable has in base64. Raises SetupError without naming the value."""
    try:
        key = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SetupError(
            f"LIKENESS_MASTER_KEY must have {KEY_BYTES} random bytes in base64, such as `openssl rand -base64 32` makes"
        )
    return LocalKey(key)
