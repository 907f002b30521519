"""An app on a phone, as far as a verifier of Play Integrity sees it: keys as of the Play Console, and tokens."""

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwe, jws
from joserfc.jwk import ECKey, OctKey

PACKAGE = "com.example.bank"
ENCRYPTION = {"alg": "A256KW", "enc": "A256GCM"}


@dataclass
class SimulatedApp:
    """An app with its keys. ``token`` gives what Google would give it for a nonce."""

    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))

    @property
    def options(self) -> dict[str, Any]:
        """The options of a verifier that trusts this app."""
        public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {
            "package_name": PACKAGE,
            "decryption_key": base64.b64encode(self.secret).decode(),
            "verification_key": base64.b64encode(public).decode(),
        }

    def verdict(self, nonce: str, at_seconds: float) -> dict[str, Any]:
        """Give a verdict in the form that Google documents."""
        return {
            "requestDetails": {
                "requestPackageName": PACKAGE,
                "nonce": nonce,
                "timestampMillis": str(int(at_seconds * 1000)),
            },
            "appIntegrity": {
                "appRecognitionVerdict": "PLAY_RECOGNIZED",
                "packageName": PACKAGE,
                "certificateSha256Digest": ["6a6a1474b5cbbb2b1aa57e0bc3"],
                "versionCode": "42",
            },
            "deviceIntegrity": {"deviceRecognitionVerdict": ["MEETS_DEVICE_INTEGRITY", "MEETS_BASIC_INTEGRITY"]},
            "accountDetails": {"appLicensingVerdict": "LICENSED"},
        }

    def seal(self, verdict: Any, *, encryption: dict[str, str] = ENCRYPTION, signature: str = "ES256") -> str:
        """Sign and encrypt a verdict."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key = ECKey.import_key(pem) if signature == "ES256" else OctKey.import_key(self.secret)
        signed = jws.serialize_compact({"alg": signature}, json.dumps(verdict), key, [signature])
        names = list(encryption.values())
        return jwe.encrypt_compact(encryption, signed, OctKey.import_key(self.secret), names)

    def token(self, nonce: str, at_seconds: float) -> str:
        return self.seal(self.verdict(nonce, at_seconds))
