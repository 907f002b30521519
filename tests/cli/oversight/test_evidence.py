"""``likeness evidence``: a bundle that another JOSE library verifies."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from typer.testing import CliRunner

from likeness.cli import app
from likeness.errors import SetupError
from likeness.evaluation.evidence import Reports, RequirementVerdict, find


def rate(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high, "errors": 1, "comparisons": 10}


def evaluation(fmr: dict[str, float], fnmr: dict[str, float]) -> dict[str, Any]:
    level = {"level": 3, "threshold": 0.4, "fmr": fmr, "fnmr": fnmr}
    data_set = {"name": "people", "people": 12}
    return {"levelsInForce": [level], "levels": [], "groups": [], "dataSet": data_set}


GOOD = evaluation(rate(5e-5, 2e-5, 9e-5), rate(0.005, 0.003, 0.009))
FPIR = {"entries": 900, "pairsSetApart": 0, "levels": [{"level": 4, "threshold": 0.5, "fpir": rate(0.02, 0.01, 0.04)}]}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DATA_DIR": tmp_path / "data", "PACK": "fake"}.items():
        monkeypatch.setenv(f"LIKENESS_{name}", str(value))
    run("init")


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def faults(folder: Path) -> list[str]:
    """Verify a bundle as an auditor would, with another library. Give the files that are not as they were signed."""
    key = jwt.PyJWK(json.loads(run("audit", "key")))
    claims = jwt.decode((folder / "evidence.jws").read_text(), key.key, ["EdDSA"])
    signed: dict[str, str] = claims["files"]
    assert {path.name for path in folder.iterdir()} == {*signed, "evidence.jws"}
    return [
        name for name, digest in signed.items() if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
    ]


def test_a_bundle_verifies_and_a_changed_figure_breaks_it(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(GOOD))
    (tmp_path / "fpir.json").write_text(json.dumps(FPIR))
    folder = tmp_path / "bundle"
    said = run("evidence", folder, "--evaluation", tmp_path / "report.json", "--fpir", tmp_path / "fpir.json")
    assert "met           NIST SP 800-63A-4, 3.11: FMR" in said
    assert faults(folder) == []
    for name in ("evidence.json", "evidence.html", "evaluation.json", "fpir.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole.replace(b"e-05", b"e-06").replace(b"0.02", b"0.01"))
        assert faults(folder) == [name]
        (folder / name).write_bytes(whole)
    token = (folder / "evidence.jws").read_text()
    (folder / "evidence.jws").write_text(token.replace(".", ".A", 1))
    with pytest.raises(jwt.InvalidTokenError):
        faults(folder)


def test_it_names_the_pack_its_calibration_and_its_settings(tmp_path: Path) -> None:
    run("evidence", tmp_path / "bundle")
    written = json.loads((tmp_path / "bundle" / "evidence.json").read_text())
    assert written["pack"]["identity"] == "fake@1"
    assert written["pack"]["calibration"]["thresholds"] == [0.4, 0.5, 0.6, 0.7, 0.8]
    assert written["settings"]["jpeg2000"] is False
    assert {finding["verdict"] for finding in written["findings"]} == {"not measured"}
    with pytest.raises(SetupError, match="exists already"):
        run("evidence", tmp_path / "bundle")


@pytest.mark.parametrize(
    ("fmr", "verdict"),
    [
        (rate(5e-5, 1e-5, 1e-4), RequirementVerdict.MET),
        (rate(5e-5, 1e-5, 2e-4), RequirementVerdict.NOT_MEASURED),
        (rate(1.1e-4, 9e-5, 2e-4), RequirementVerdict.NOT_MET),
    ],
)
def test_a_requirement_is_met_only_by_its_whole_interval(fmr: dict[str, float], verdict: RequirementVerdict) -> None:
    first = find(Reports(evaluation(fmr, rate(0, 0, 0.001))))[0]
    assert (first.verdict, first.value, first.bound) == (verdict, fmr["value"], 1e-4)


@pytest.mark.parametrize(
    ("fmr", "verdict"),
    [
        (rate(5e-5, 4.8e-5, 5.2e-5), RequirementVerdict.MET),
        (rate(5e-4, 4e-4, 6e-4), RequirementVerdict.NOT_MET),
        (rate(5e-4, 2e-5, 6e-3), RequirementVerdict.NOT_MEASURED),
    ],
)
def test_a_group_is_held_against_all_people(fmr: dict[str, float], verdict: RequirementVerdict) -> None:
    same = rate(0.005, 0.0049, 0.0051)
    report = evaluation(rate(5e-5, 4.9e-5, 5.1e-5), same)
    report["groups"] = [{"label": "sex", "group": "women", "levels": [{"level": 3, "fmr": fmr, "fnmr": same}]}]
    (found,) = (each for each in find(Reports(report)) if "in each group" in each.requirement)
    assert (found.verdict, found.bound) == (verdict, 1.25)
    assert found.value == pytest.approx(fmr["value"] / 5e-5)
    assert found.note.startswith("sex: women")
    assert ("Too few" in found.note) == (verdict is RequirementVerdict.NOT_MEASURED)


def test_the_rate_of_a_search_is_held_against_its_bound_at_each_level() -> None:
    found = {finding.requirement[:20]: finding.verdict for finding in find(Reports(fpir=FPIR))}
    assert found["FPIR of 1:N at level"] is RequirementVerdict.NOT_MET


def test_simulated_attacks_prove_nothing() -> None:
    found = [each for each in find(Reports(liveness={"simulatedSessions": {}})) if "attack" in each.requirement.lower()]
    assert len(found) == 3
    assert {each.verdict for each in found} == {RequirementVerdict.NOT_MEASURED}
    assert all("simulated" in each.note for each in found)


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    for content, message in (("[", "not JSON"), ("{}", "no report of"), ('{"levelsInForce": [{}]}', "damaged")):
        report.write_text(content)
        with pytest.raises(SetupError, match=message):
            run("evidence", tmp_path / "bundle", "--evaluation", report)
    with pytest.raises(SetupError, match="cannot be read"):
        run("evidence", tmp_path / "bundle", "--evaluation", tmp_path / "none.json")
    assert not (tmp_path / "bundle").exists()
