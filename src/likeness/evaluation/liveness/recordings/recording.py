"""One recorded attempt, and the sealed folder that keeps it.

A recording has all that the liveness check got: the drawn challenge, each frame's bytes with its times, and each tick.
It also has what the page was told, and the verdict. So the check can judge the attempt again, with the same or with
other thresholds.

A file is a sealed value (``kit.envelope``) of: 4 bytes with the length of a JSON text, the text, and the frames' JPEGs
one after another. The key is in a file of its own, outside the folder. Without it, no recording opens.
"""

import json
import secrets
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from likeness.errors import SetupError
from likeness.evaluation.liveness.recordings.scripts import read_script, write_script
from likeness.kit.envelope import KEY_BYTES, Cipher
from likeness.kit.files import create_whole
from likeness.liveness.attempt.script import ChallengeScript
from likeness.liveness.base import DeclaredCamera, Verdict

FORMAT = 1
SUFFIX = ".recording"
BONA_FIDE = "bona_fide"
"""The kind of a presentation that is no attack."""
_PURPOSE = "liveness recording"
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Label:
    """The facts of a presentation that its recording cannot show. All are plain words of the operator."""

    kind: str
    """``bona_fide``, or the presentation attack instrument species, such as ``print`` or ``screen_replay``."""
    subject: str = ""
    """A code for the person. Presentations of one person are not independent."""
    instrument: str = ""
    """The instrument in detail, such as the paper or the display."""
    device: str = ""
    light: str = ""
    simulated: bool = False
    """Whether the simulator made the attempt. Its figures are kept apart from those of people and real attacks."""

    @property
    def bona_fide(self) -> bool:
        return self.kind == BONA_FIDE


@dataclass(frozen=True, slots=True)
class Consent:
    """The person's consent: when it was given, and the SHA-256 of the text that they read."""

    given_at: str
    text_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One call of the check: a frame or, without ``data``, a tick. ``answer`` is the message to the page."""

    at_seconds: float
    answer: dict[str, Any]
    data: bytes | None = None
    facts: dict[str, Any] | None = None
    """The members of the ``Frame`` that came from the browser."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One attempt as the server received it."""

    id: str
    recorded_at: str
    product: str
    pack: str
    label: Label
    consent: Consent | None
    script: ChallengeScript
    camera: DeclaredCamera
    events: tuple[Event, ...]
    verdict: dict[str, Any]
    """The verdict with its exact scores, as :func:`exact_verdict` gives it."""


def exact_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON values without rounding, so that two verdicts can be compared bit for bit."""
    return dict(json.loads(json.dumps(asdict(verdict))))


class RecordingFolder:
    """A folder of sealed recordings, and the key that opens them."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder = folder
        self._key = key
        self._cipher = Cipher({1: key}, _PURPOSE)

    @classmethod
    def open(cls, folder: Path, key_file: Path | None = None, *, make: bool = False) -> "RecordingFolder":
        """Open a folder with its key, which is by default in ``FOLDER.key`` beside it. Raises SetupError.

        With ``make``, a missing folder and a missing key are made. A key in the folder itself is refused, because a
        copy of the folder would contain it.
        """
        key_file = key_file or default_key_file(folder)
        if key_file.resolve().parent == folder.resolve():
            raise SetupError(f"Keep the key outside {folder}: a copy of the folder must not contain it.")
        if make and not key_file.exists():
            if any(folder.glob(f"*{SUFFIX}")):
                raise SetupError(f"{folder} has recordings, but their key {key_file} is missing. Name it with --key.")
            create_whole(key_file, secrets.token_bytes(KEY_BYTES))
        if not key_file.is_file():
            raise SetupError(f"There is no key {key_file} for the recordings in {folder}. Name it with --key.")
        key = key_file.read_bytes()
        if len(key) != KEY_BYTES:
            raise SetupError(f"{key_file} is no key of recordings: it has {len(key)} bytes instead of {KEY_BYTES}.")
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, key)

    def __reduce__(self) -> tuple[type["RecordingFolder"], tuple[Path, bytes]]:
        """Go to another process with the key, because a cipher cannot."""
        return RecordingFolder, (self.folder, self._key)

    def add(self, recording: Recording) -> Path:
        """Seal a recording and write it to a new file. Raises OSError."""
        path = self.folder / f"{recording.id}{SUFFIX}"
        create_whole(path, self._cipher.seal(_pack(recording), _PURPOSE, recording.id))
        return path

    def files(self) -> tuple[Path, ...]:
        """Return the recordings' files in the order of their names. Raises SetupError if there are none."""
        found = tuple(sorted(self.folder.glob(f"*{SUFFIX}")))
        if not found:
            raise SetupError(f"There are no recordings in {self.folder}: `likeness record` makes them.")
        return found

    def read(self, path: Path) -> Recording:
        """Open one recording. Raises SetupError if it was altered, or sealed under another key."""
        try:
            return _unpack(self._cipher.open(path.read_bytes(), _PURPOSE, path.stem))
        except SetupError as error:
            raise SetupError(f"{path} does not open: another key sealed it, or it was altered.") from error

    def __iter__(self) -> Iterator[Recording]:
        return map(self.read, self.files())


def default_key_file(folder: Path) -> Path:
    """Return the place of a folder's key: beside the folder."""
    whole = folder.resolve()
    return whole.with_name(f"{whole.name}.key")


def holds_recordings(folder: Path) -> bool:
    """Whether a folder has recordings, rather than photos."""
    return next(folder.glob(f"*{SUFFIX}"), None) is not None


def _pack(recording: Recording) -> bytes:
    frames = [event.data for event in recording.events if event.data is not None]
    text = json.dumps(
        {
            "format": FORMAT,
            "id": recording.id,
            "recordedAt": recording.recorded_at,
            "product": recording.product,
            "pack": recording.pack,
            "label": asdict(recording.label),
            "consent": recording.consent and asdict(recording.consent),
            "script": write_script(recording.script),
            "camera": asdict(recording.camera),
            "events": [
                {
                    "at": event.at_seconds,
                    "answer": event.answer,
                    "bytes": None if event.data is None else len(event.data),
                    "facts": event.facts,
                }
                for event in recording.events
            ],
            "verdict": recording.verdict,
        }
    ).encode()
    return b"".join((_LENGTH.pack(len(text)), text, *frames))


def _unpack(packed: bytes) -> Recording:
    (length,) = _LENGTH.unpack_from(packed)
    place = _LENGTH.size + length
    held = json.loads(packed[_LENGTH.size : place])
    if held["format"] != FORMAT:
        raise SetupError(f"A recording has format {held['format']}; this release reads format {FORMAT}.")
    events = []
    for event in held["events"]:
        data = None
        if event["bytes"] is not None:
            data = packed[place : place + event["bytes"]]
            place += event["bytes"]
        events.append(Event(event["at"], event["answer"], data, event["facts"]))
    return Recording(
        held["id"],
        held["recordedAt"],
        held["product"],
        held["pack"],
        Label(**held["label"]),
        Consent(**held["consent"]) if held["consent"] else None,
        read_script(held["script"]),
        DeclaredCamera(**held["camera"]),
        tuple(events),
        held["verdict"],
    )
