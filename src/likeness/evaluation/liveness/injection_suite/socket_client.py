"""A program that speaks the capture socket without a browser, with a simulated scene as its camera."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.sync.client import ClientConnection, connect

from likeness.evaluation.liveness.injection_suite.scene import SuiteClock
from likeness.evaluation.liveness.simulator.subject import Presentation
from likeness.sessions.capture.messages import pack_frame

MOST_FRAMES = 900


@dataclass(slots=True)
class SocketClient:
    """One attempt over the socket. With ``signs`` it makes a key and signs its frames, as the page does."""

    address: str
    token: str
    presentation: Presentation
    clock: SuiteClock
    signs: bool = False

    def run(self) -> None:
        """Make one attempt, until the server says how it ended."""
        key = generate_private_key(SECP256R1()) if self.signs else None
        with connect(self.address, compression=None, close_timeout=2) as socket:
            point = key and key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            _say(socket, {"type": "hello", "token": self.token} | ({"key": _base64url(point)} if point else {}))
            nonce = _hear(socket)["nonce"]
            _say(socket, {"type": "start", "camera": self.presentation.camera_label})
            message: dict[str, Any] = _hear(socket)
            for number in range(MOST_FRAMES):
                now = self.clock.go_on()
                jpeg = self.presentation.encode(self.presentation.frame(now))
                more = {"media": 1000 * now, "number": 3 * number}
                signed = {"signature": _sign(key, nonce, jpeg)} if key else {}
                socket.send(pack_frame(jpeg, t=1000 * now, flash=message.get("flashIndex"), **more, **signed))
                message = _hear(socket)
                if message["type"] == "end":
                    return
                if message["done"]:
                    _hear(socket)  # the server tells the end when it is stored
                    return
                self.presentation.react(message, self.clock())


def _say(socket: ClientConnection, message: dict[str, Any]) -> None:
    socket.send(json.dumps(message))


def _hear(socket: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(socket.recv(timeout=60)))


def _sign(key: EllipticCurvePrivateKey, nonce: str, jpeg: bytes) -> str:
    numbers = decode_dss_signature(key.sign(nonce.encode() + jpeg, ECDSA(SHA256())))
    return _base64url(b"".join(number.to_bytes(32) for number in numbers))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
