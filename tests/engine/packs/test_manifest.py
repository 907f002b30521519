import json
from pathlib import Path
from typing import Any

import pytest

from likeness.engine.alignment import ChipView
from likeness.engine.packs.catalogue import SHIPPED
from likeness.engine.packs.manifest import (
    Manifest,
    StoredCalibration,
    read_calibration,
    read_manifest,
    write_calibration,
)
from likeness.errors import SetupError

STORED = StoredCalibration(
    data_set="ours",
    thresholds=(0.1, 0.2, 0.3, 0.4, 0.5),
    measured_fmr=(1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
    genuine_pairs=7,
    impostor_pairs=9,
)


def weights(name: str = "net.onnx", **changes: Any) -> dict[str, Any] | dict[str, dict[str, str] | int | str]:
    return {
        "name": name,
        "sha256": "0" * 64,
        "bytes": 5,
        "licences": {"code": "stated: MIT", "weights": "stated: MIT", "training_data": "unstated: ours"},
        "training_data": "ours",
        "origin": "us",
    } | changes


def manifest(**changes: Any) -> dict[str, Any]:
    recogniser = {"file": "net.onnx", "side": 112, "reference": [[1, 2]] * 5, "template_size": 64}
    files = {role: f"{role}.lz4" for role in ("network", "output")}
    return {
        "id": "own",
        "version": "3",
        "title": "Ours",
        "weights": [weights(), *map(weights, files.values())],
        "detector": {"kind": "yunet", "files": files},
        "recognisers": [recogniser],
    } | changes


def read(tmp_path: Path, content: dict[str, Any] | str) -> Manifest | None:
    path = tmp_path / "manifest.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_manifest(path)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_manifests(path: Path) -> None:
    shipped = read_manifest(path)
    assert shipped.id == path.stem
    for file in shipped.weights:
        assert file.package or file.urls or file.archive or "mirror" in file.origin
        assert file.training_data
    assert shipped.pad or shipped.landmarks or shipped.pack.template_size >= 128


def test_what_a_manifest_says(tmp_path: Path) -> None:
    own = read(tmp_path, manifest())
    assert own.pack.identity == str(own.pack) == "own@3"
    assert own.pack.template_size == 64
    assert own.recognisers[0].views == (ChipView(), ChipView(mirrored=True))
    assert own.to_accept == ()
    assert own.file("net.onnx").bytes == 5
    assert own.calibration is None


def test_views_and_licence(tmp_path: Path) -> None:
    content = manifest()
    content["recognisers"][0]["views"] = [{}, {"mirrored": True, "zoom": 1.1, "shift": [0, 0.1]}]
    content["weights"][0]["commercial_use"] = False
    own = read(tmp_path, content)
    assert own.recognisers[0].views == (ChipView(), ChipView(mirrored=True, zoom=1.1, shift=(0, 0.1)))
    assert own.to_accept == (own.file("net.onnx"),)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"id": "Not An Id"}, "id"),
        ({"id": "../up"}, "id"),
        ({"surprise": 1}, "surprise"),
        ({"weights": []}, "weights"),
        ({"weights": [weights()]}, "network.lz4"),
        ({"weights": [*manifest()["weights"], weights("more.onnx")]}, "more.onnx"),
        ({"weights": [weights("../../etc/passwd"), *manifest()["weights"]]}, "name"),
        ({"weights": [weights(sha256="short"), *manifest()["weights"][1:]]}, "sha256"),
        ({"weights": [weights(urls=["http://plain.example/net.onnx"]), *manifest()["weights"][1:]]}, "urls"),
        ({"weights": [weights(licences={"code": "MIT"}), *manifest()["weights"][1:]]}, "licences"),
        ({"recognisers": []}, "net.onnx"),
        ({"recognisers": [manifest()["recognisers"][0] | {"reference": [[1, 2]] * 4}]}, "reference"),
        ({"recognisers": [manifest()["recognisers"][0] | {"deviation": [1, 0, 1]}]}, "deviation"),
        ({"recognisers": [manifest()["recognisers"][0] | {"side": 100_000}]}, "side"),
        ({"detector": {"kind": "yunet", "files": {"network": "net.onnx"}}}, "detector.files"),
        ({"detector": {"kind": "guess", "files": {}}}, "kind"),
        ({"detector": None, "weights": [weights()]}, "need a detector"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, changes: Any, complaint: str) -> None:
    with pytest.raises(SetupError, match=complaint):
        read(tmp_path, manifest() | changes)


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"id": NaN}', "\x00"])
def test_what_is_no_manifest(tmp_path: Path, content: str) -> None:
    with pytest.raises(SetupError):
        read(tmp_path, content)
    with pytest.raises(SetupError, match="cannot be read"):
        read_manifest(tmp_path / "absent.json")


def test_a_calibration_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "own" / "calibration.json"
    with pytest.raises(SetupError, match="cannot be read"):
        read_calibration(path)
    write_calibration(path, STORED)
    assert read_calibration(path) == STORED


def test_thresholds_must_ascend(tmp_path: Path) -> None:
    content = manifest(
        calibration={
            "data_set": "x",
            "thresholds": [0.5, 0.4, 0.6, 0.7, 0.8],
            "measured_fmr": [0] * 5,
            "genuine_pairs": 1,
            "impostor_pairs": 1,
        }
    )
    with pytest.raises(SetupError, match="ascend"):
        read(tmp_path, content)
