"""Google's Play Integrity: the verdict of a classic request, decrypted and verified with keys of the Play Console.

The token is a JWE (A256KW, A256GCM) around a JWS (ES256). Both keys are the app's own, so nothing asks Google.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Annotated, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from likeness.errors import SetupError
from likeness.sessions.attestation.base import AttestationRefused

OLDEST_SECONDS = 3600.0
"""The longest life of a session: an older verdict was not made for it."""
TOLERATED_SECONDS = 60.0
"""The most that Google's clock and this server's may differ by."""
_ENCRYPTION = ["A256KW", "A256GCM"]
_SIGNATURE = ["ES256"]
_KEY_BYTES = 32


class PlayIntegrityOptions(BaseModel):
    """The options in the file of ``LIKENESS_ATTESTATION``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    package_name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    decryption_key: str
    """The response's decryption key of the Play Console, in base64: 32 bytes."""
    verification_key: str
    """The response's verification key of the Play Console, in base64: a public key of P-256 as DER."""
    certificate_sha256: list[str] = []
    """If not empty, the app's signing certificate must be one of these digests, in base64url."""
    device_verdict: str = "MEETS_DEVICE_INTEGRITY"


class _Request(BaseModel):
    requestPackageName: str  # noqa: N815 - Google's name
    nonce: str
    timestampMillis: int  # noqa: N815


class _App(BaseModel):
    appRecognitionVerdict: str  # noqa: N815
    packageName: str = ""  # noqa: N815
    certificateSha256Digest: list[str] = []  # noqa: N815


class _Device(BaseModel):
    deviceRecognitionVerdict: list[str] = []  # noqa: N815


class _Verdict(BaseModel):
    requestDetails: _Request  # noqa: N815
    appIntegrity: _App  # noqa: N815
    deviceIntegrity: _Device  # noqa: N815


class PlayIntegrity:
    """Verifies the tokens of one app."""

    name = "play-integrity"

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Take the file's options. Raises SetupError."""
        try:
            self._options = PlayIntegrityOptions.model_validate(dict(options))
            key = base64.b64decode(self._options.decryption_key, validate=True)
            public = load_der_public_key(base64.b64decode(self._options.verification_key, validate=True))
        except ValidationError as error:
            fields = ", ".join(sorted({".".join(map(str, one["loc"])) for one in error.errors()}))
            raise SetupError(f"The options of play-integrity are wrong or missing: {fields}.") from error
        except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
            raise SetupError("The keys of play-integrity must be those of the Play Console, in base64.") from error
        if len(key) != _KEY_BYTES:
            raise SetupError("The decryption_key of play-integrity must have 32 bytes.")
        if not isinstance(public, EllipticCurvePublicKey) or not isinstance(public.curve, SECP256R1):
            raise SetupError("The verification_key of play-integrity must be a public key of P-256.")
        self._decryption = OctKey.import_key(key)
        self._verification = ECKey.import_key(base64.b64decode(self._options.verification_key))

    def verify(self, token: str, *, nonce: str, now: float) -> Mapping[str, str]:
        verdict = self._open(token)
        request, app, options = verdict.requestDetails, verdict.appIntegrity, self._options
        age = now - request.timestampMillis / 1000
        device = verdict.deviceIntegrity.deviceRecognitionVerdict
        faults = (
            (request.nonce.rstrip("=") != nonce, "it was made for another session or another key"),
            (request.requestPackageName != options.package_name, "another app asked for it"),
            (age > OLDEST_SECONDS or age < -TOLERATED_SECONDS, "it was not made now"),
            (app.appRecognitionVerdict != "PLAY_RECOGNIZED", "Google Play does not recognise the app"),
            (app.packageName != options.package_name, "it is about another app"),
            (
                bool(options.certificate_sha256)
                and not set(options.certificate_sha256) & set(app.certificateSha256Digest),
                "the app is signed by another certificate",
            ),
            (options.device_verdict not in device, "the device is not a genuine one"),
        )
        for present, reason in faults:
            if present:
                raise AttestationRefused(reason)
        return {"packageName": app.packageName, "deviceRecognitionVerdict": " ".join(sorted(device))}

    def _open(self, token: str) -> _Verdict:
        try:
            inner = jwe.decrypt_compact(token, self._decryption, _ENCRYPTION).plaintext
            signed = jws.deserialize_compact(inner or b"", self._verification, _SIGNATURE)
            return _Verdict.model_validate(json.loads(signed.payload))
        except (JoseError, ValidationError, ValueError, TypeError, RecursionError) as error:
            raise AttestationRefused("it is no token of this app's keys") from error
