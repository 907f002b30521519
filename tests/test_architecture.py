"""The house keeps its shape."""

from pathlib import Path

from importlinter.cli import lint_imports

REPOSITORY = Path(__file__).resolve().parents[1]
LONGEST_MODULE_LINES = 500


def test_imports_run_one_way() -> None:
    assert lint_imports(config_filename=str(REPOSITORY / "pyproject.toml"), no_cache=True) == 0


def test_long_modules_give_a_reason() -> None:
    for module in (REPOSITORY / "src").rglob("*.py"):
        lines = module.read_text().splitlines()
        assert len(lines) <= LONGEST_MODULE_LINES or "lines" in lines[0], f"{module} has {len(lines)} lines"


def test_the_composition_root_is_short() -> None:
    assert len((REPOSITORY / "src" / "likeness" / "app.py").read_text().splitlines()) <= 150
