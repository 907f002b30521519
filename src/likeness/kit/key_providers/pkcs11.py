"""The master key in a PKCS#11 token, such as an HSM: it never leaves the device.

It needs ``likeness-server[pkcs11]``.
"""

import secrets
import threading
from typing import Any

from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.envelope import NONCE_BYTES

TAG_BITS = 128


class Pkcs11Key:
    """An AES key of a token, by ``TOKEN/LABEL``. ``module`` is the vendor's library. Thread-safe."""

    def __init__(self, place: str, *, module: str | None, pin: str | None) -> None:
        """Open a session. Raises SetupError."""
        token, _, label = place.partition("/")
        if not (token and label and module):
            raise SetupError("LIKENESS_KEY_PROVIDER=pkcs11:TOKEN/LABEL needs LIKENESS_PKCS11_MODULE, and usually a PIN")
        try:
            import pkcs11  # noqa: PLC0415  an extra
        except ModuleNotFoundError as error:
            raise SetupError("LIKENESS_KEY_PROVIDER=pkcs11 needs likeness-server[pkcs11]") from error
        self._pkcs11: Any = pkcs11
        self._lock = threading.Lock()
        try:
            found = pkcs11.lib(module).get_token(token_label=token)
            try:
                session = found.open(user_pin=pin)
            except pkcs11.exceptions.UserAlreadyLoggedIn:  # a process logs in once for all its sessions
                session = found.open()
            self._key: Any = session.get_key(key_type=pkcs11.KeyType.AES, label=label)
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            raise SetupError(
                f"the key {label} of the token {token} cannot be used ({type(error).__name__}): check the token, the "
                "label, LIKENESS_PKCS11_MODULE and LIKENESS_PKCS11_PIN"
            ) from error

    def wrap(self, data_key: bytes, context: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._call(self._key.encrypt, data_key, nonce, context)

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        return self._call(self._key.decrypt, wrapped[NONCE_BYTES:], wrapped[:NONCE_BYTES], context)

    def _call(self, verb: Any, content: bytes, nonce: bytes, context: str) -> bytes:
        given = self._pkcs11.GCMParams(nonce, context.encode(), TAG_BITS)
        lost = self._pkcs11.exceptions.DeviceRemoved, self._pkcs11.exceptions.TokenNotPresent
        try:
            with self._lock:
                return bytes(verb(content, mechanism=self._pkcs11.Mechanism.AES_GCM, mechanism_param=given))
        except lost as error:
            raise ServiceUnavailable("The token that has the master key is not there.") from error
        except self._pkcs11.PKCS11Error as error:
            raise SetupError(
                "a stored data key does not open: wrong master key in the token, or the data was altered"
            ) from error
