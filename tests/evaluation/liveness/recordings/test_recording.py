"""Recordings in their sealed folder, and the judgement of a recording again."""

import random
from pathlib import Path

import numpy as np
import pytest

from likeness.cli.demo.photos import load_photos
from likeness.engine.base import Engine
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine
from likeness.errors import SetupError
from likeness.evaluation.liveness.recordings.recorder import RecordedCheck
from likeness.evaluation.liveness.recordings.recording import (
    Consent,
    Label,
    Recording,
    RecordingFolder,
    default_key_file,
    holds_recordings,
)
from likeness.evaluation.liveness.recordings.replay import replay
from likeness.evaluation.liveness.recordings.scripts import read_script, write_script
from likeness.evaluation.liveness.simulator.portrait import Portrait
from likeness.evaluation.liveness.simulator.session import carry_out
from likeness.evaluation.liveness.simulator.subject import SimulatedSubject
from likeness.liveness.attempt.script import LivenessMode, draw_script
from likeness.liveness.base import DeclaredCamera, Frame
from likeness.liveness.thresholds import THRESHOLDS

LABEL = Label("print", "P07", "A4 laser print", "Pixel 8", "office")
CONSENT = Consent("2026-11-30T12:00:00+00:00", "ab" * 32)


def recorded(engine: Engine, label: Label = LABEL) -> Recording:
    """Record an attempt that ends because no frame comes any more."""
    kept: list[Recording] = []
    script = draw_script(LivenessMode.STRICT, chance=random.Random(1))
    check = RecordedCheck(engine, script, DeclaredCamera("HD Webcam"), label, CONSENT, kept.append)
    for number in range(4):
        data = fake_photo(1, variation=number)
        check.observe(Frame(engine.decode(data), 5 + number / 10, data, client_at_seconds=number / 10))
    check.tick(6.0)
    assert check.verdict is None
    assert not kept
    check.tick(30.0)
    check.tick(31.0)
    (recording,) = kept
    return recording


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recorded(FakeEngine())


def test_a_recording_comes_back_as_it_was(recording: Recording, tmp_path: Path) -> None:
    folder = RecordingFolder.open(tmp_path / "recordings", make=True)
    path = folder.add(recording)
    assert holds_recordings(folder.folder)
    read = RecordingFolder.open(tmp_path / "recordings").read(path)
    assert (read.label, read.consent, read.script, read.camera) == (LABEL, CONSENT, recording.script, recording.camera)
    assert [event.data for event in read.events] == [event.data for event in recording.events]
    assert replay(FakeEngine(), read).same


@pytest.mark.parametrize("mode", LivenessMode)
@pytest.mark.parametrize("flash", [True, False])
def test_a_script_comes_back_as_it_was(mode: LivenessMode, *, flash: bool) -> None:
    script = draw_script(mode, flash=flash)
    assert read_script(write_script(script)) == script


def test_nothing_of_a_recording_can_be_read_without_the_key(recording: Recording, tmp_path: Path) -> None:
    folder = RecordingFolder.open(tmp_path / "recordings", make=True)
    path = folder.add(recording)
    sealed = path.read_bytes()
    assert b"P07" not in sealed
    assert b"JFIF" not in sealed
    key = default_key_file(folder.folder)
    assert key.parent != folder.folder
    assert key.stat().st_mode & 0o077 == path.stat().st_mode & 0o077 == 0
    key.write_bytes(bytes(32))
    with pytest.raises(SetupError, match="does not open"):
        RecordingFolder.open(folder.folder).read(path)


def test_an_altered_or_exchanged_recording_is_refused(recording: Recording, tmp_path: Path) -> None:
    folder = RecordingFolder.open(tmp_path / "recordings", make=True)
    path = folder.add(recording)
    renamed = path.with_name(f"another{path.suffix}")
    renamed.write_bytes(path.read_bytes())
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    for each in (path, renamed):
        with pytest.raises(SetupError, match="does not open"):
            folder.read(each)


def test_a_missing_key_is_never_replaced(recording: Recording, tmp_path: Path) -> None:
    folder = RecordingFolder.open(tmp_path / "recordings", make=True)
    folder.add(recording)
    default_key_file(folder.folder).unlink()
    for make in (True, False):
        with pytest.raises(SetupError, match="--key"):
            RecordingFolder.open(folder.folder, make=make)


def test_the_key_is_not_kept_with_what_it_opens(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="outside"):
        RecordingFolder.open(tmp_path, tmp_path / "key", make=True)


def test_other_answers_are_noticed(recording: Recording) -> None:
    engine = FakeEngine()
    told = {**recording.events[1].answer, "progress": 0.9}
    events = (recording.events[0], *(recording.events[1:]))
    object.__setattr__(events[1], "answer", told)
    assert not replay(engine, recording).same


def test_a_live_attempt_replays_to_the_same_bits(tmp_path: Path) -> None:
    engine = load_engine(PackId("builtin"), models_dir=tmp_path / "models")
    photo = engine.decode(load_photos().astronaut)
    chance = np.random.default_rng(5)
    portrait = Portrait.from_photo(photo, engine.detect(photo)[0].landmarks, chance)
    subject = SimulatedSubject(portrait, chance)
    folder = RecordingFolder.open(tmp_path / "recordings", make=True)
    script = draw_script(LivenessMode.ACTIVE, chance=random.Random(5))
    label = Label("bona_fide", simulated=True)
    check = RecordedCheck(engine, script, DeclaredCamera(subject.camera_label), label, None, folder.add)
    verdict = carry_out(subject, check, chance).verdict
    (kept,) = folder
    again = replay(load_engine(PackId("builtin"), models_dir=tmp_path / "models"), kept)
    assert verdict.live
    assert again.same
    assert again.comparable
    assert again.outcome.scores == {signal.name.value: signal.score for signal in verdict.signals}
    assert len({event.answer["colour"] for event in kept.events} - {None}) == 6
    assert kept.verdict["thresholds"] == THRESHOLDS.name
