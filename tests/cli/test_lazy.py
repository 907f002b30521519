"""A command imports only what it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from likeness.cli import app

HEAVY = (
    "cv2",
    "faiss",
    "fastapi",
    "jinja2",
    "joserfc",
    "numpy",
    "onnx",
    "onnxruntime",
    "PIL",
    "starlette",
    "uvicorn",
)
PROGRAM = """
import json, sys
from likeness.cli import main
sys.argv = ["likeness", *sys.argv[1:]]
try:
    main()
finally:
    print(json.dumps(sorted(name for name in sys.modules if "." not in name)), file=sys.stderr)
"""


def imported_by(*command: str, data: Path) -> set[str]:
    """Run a command in its own process, and give the packages that it has imported at its end."""
    environment = {**os.environ, "LIKENESS_DATA_DIR": str(data), "LIKENESS_PACK": "fake"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command], env=environment, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands") / "data"
    imported_by("init", data=folder)
    imported_by("tenant", "create", "acme", data=folder)
    return folder


@pytest.mark.parametrize("command", [("--version",), ("client", "list", "acme")], ids=" ".join)
def test_what_needs_no_engine_imports_none(command: tuple[str, ...], data: Path) -> None:
    imported = imported_by(*command, data=data)
    assert {"typer", "likeness"} <= imported
    assert ("sqlalchemy" in imported) == ("client" in command)
    assert not imported.intersection(HEAVY)


def test_the_help_names_every_command_and_its_first_sentence() -> None:
    output = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output.split())
    root = typer.main.get_command(app)
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        assert command.name == name
        assert f"{name} " in output
        assert command.get_short_help_str(40).split("...")[0] in output


def test_a_wrong_name_is_reported_with_the_nearest() -> None:
    ended = CliRunner().invoke(app, ["galery", "status"])
    assert ended.exit_code == 2
    assert "'gallery'" in ended.output
