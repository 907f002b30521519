"""Other people's programs accept the files of deploy/."""

import re
import subprocess
from pathlib import Path

from lacking import needed_program

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
HIGHEST_EXPOSURE = 2.0
GROUP = "the dependency group `deploy`"


def run(*command: "str | Path") -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_dockerfile_has_no_fault() -> None:
    run(needed_program("hadolint", of=GROUP), "--failure-threshold", "warning", DEPLOY / "Dockerfile")


def test_compose_accepts_its_file() -> None:
    run(
        needed_program("check-jsonschema", of=GROUP),
        "--builtin-schema",
        "vendor.compose-spec",
        DEPLOY / "compose.yaml",
    )


def test_kubernetes_accepts_its_manifests() -> None:
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    said = run(needed_program("kubernetes-validate", of=GROUP), "--strict", *files)
    assert said.count(" passed for resource ") == len(files)


def test_prometheus_accepts_the_rules() -> None:
    promtool = needed_program("promtool", of="Debian: the package prometheus")
    assert "rules found" in run(promtool, "check", "rules", DEPLOY / "prometheus" / "alerts.yaml")


def test_the_unit_exposes_little() -> None:
    analyze = needed_program("systemd-analyze", of="Debian: the package systemd")
    said = run(analyze, "security", "--offline=true", "--no-pager", DEPLOY / "likeness.service")
    found = re.search(r"Overall exposure level for likeness.service: ([0-9.]+)", said)
    assert found, said
    assert float(found[1]) <= HIGHEST_EXPOSURE
    warnings = [line for line in said.splitlines() if "Unknown" in line or "Failed to parse" in line]
    assert warnings == []
