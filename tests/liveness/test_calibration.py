"""Thresholds that recordings decided, in their file."""

import json
from pathlib import Path

import pytest

from likeness.errors import SetupError
from likeness.liveness.calibration import LivenessBasis, LivenessCalibration, MovedThresholds
from likeness.liveness.thresholds import THRESHOLDS

BASIS = LivenessBasis(
    simulated=False,
    recordings={"bona_fide": 50, "print": 150},
    subjects=20,
    data_sha256="ab" * 32,
    pack="builtin@1",
    product="likeness 0.1.0",
    made_at="2026-11-30T12:00:00+00:00",
    wanted={"bpcer": 0.03},
    bpcer={"rate": 0.02},
    apcer={"print": {"rate": 0.0}},
)
CALIBRATION = LivenessCalibration(MovedThresholds(parallax=0.2, shading=0.05), BASIS)


def test_a_file_comes_back_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "thresholds.json"
    CALIBRATION.write(file)
    read = LivenessCalibration.read(file)
    assert read == CALIBRATION
    thresholds = read.thresholds()
    assert (thresholds.signals.parallax, thresholds.signals.shading) == (0.2, 0.05)
    assert thresholds.signals.flash_correlation == THRESHOLDS.signals.flash_correlation
    assert thresholds.name == read.name != THRESHOLDS.name
    assert thresholds.name.startswith("recorded-")


def test_the_name_depends_on_the_data(tmp_path: Path) -> None:
    other = LivenessCalibration(CALIBRATION.moved, BASIS.model_copy(update={"data_sha256": "cd" * 32}))
    assert other.name != CALIBRATION.name
    simulated = LivenessCalibration(CALIBRATION.moved, BASIS.model_copy(update={"simulated": True}))
    assert simulated.name.startswith("simulated-")


@pytest.mark.parametrize("change", [("thresholds", "parallax", 0.01), ("basis", "simulated", True)])
def test_a_changed_file_is_refused(tmp_path: Path, change: tuple[str, str, object]) -> None:
    file = tmp_path / "thresholds.json"
    CALIBRATION.write(file)
    held = json.loads(file.read_text())
    held[change[0]][change[1]] = change[2]
    file.write_text(json.dumps(held))
    with pytest.raises(SetupError, match="changed"):
        LivenessCalibration.read(file)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": "x", "thresholds": {"parallax": 7}, "basis": {}}'])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "thresholds.json"
    file.write_text(content)
    with pytest.raises(SetupError, match="calibrate-liveness"):
        LivenessCalibration.read(file)
    with pytest.raises(SetupError, match="no file"):
        LivenessCalibration.read(tmp_path / "missing.json")
