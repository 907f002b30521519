"""The package keeps its architecture."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "likeness"
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text()
LONGEST_MODULE_LINES = 500
MOST_MODULES_IN_A_FOLDER = 14
LONGEST_FUNCTION_LINES = 60
MOST_PARAMETERS = 7
LARGE_FUNCTIONS = {
    "create_app",  # builds the application, and does nothing else
    "attack_suite",
    "calibrate",  # a command: each parameter is an option, whose help takes lines
    "change",  # the settings of a tenant, also a command
    "evaluate",
    "evaluate_liveness",
    "record",
    "SessionService.__init__",  # the components of sessions, by name
}
"""Functions that are larger than the limits, with the reason."""
SHARED_NAMES = {"judge"}
"""Names that several modules define on purpose. Each liveness signal has a ``judge``."""


def test_imports_run_one_way() -> None:
    # In its own process, because it sets up logging and silences every logger.
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_long_modules_give_a_reason() -> None:
    for module in PACKAGE.rglob("*.py"):
        lines = module.read_text().splitlines()
        assert len(lines) <= LONGEST_MODULE_LINES or "lines" in lines[0], f"{module} has {len(lines)} lines"


def test_the_composition_root_is_short() -> None:
    assert len((PACKAGE / "app.py").read_text().splitlines()) <= 150


def test_no_folder_is_crowded() -> None:
    modules = Counter(module.parent for module in PACKAGE.rglob("*.py") if module.name != "__init__.py")
    del modules[PACKAGE / "store" / "migrations" / "versions"]  # each change of a table adds one
    crowded = {str(folder): count for folder, count in modules.items() if count > MOST_MODULES_IN_A_FOLDER}
    assert not crowded


def test_tests_mirror_the_package() -> None:
    folders = {test.relative_to(REPOSITORY / "tests").parent for test in (REPOSITORY / "tests").glob("*/**/test_*.py")}
    others = {"api", "benchmarks", "browser", "clients", "conformance", "deploy", "faults", "fuzz", "injection"}
    assert not [each for each in folders if each.parts[0] not in others and not (PACKAGE / each).is_dir()]


def public_names(module: Path) -> Iterator[str]:
    """Give the public classes, type aliases and functions that a module defines.

    Functions of ``cli`` are left out: their names are those of commands, and two groups may have a command ``create``.
    """
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.ClassDef) or (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "cli" not in module.parts
        ):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id[0].isupper() and not target.id.isupper():
                yield target.id


def test_a_name_means_one_thing() -> None:
    modules = [module for module in PACKAGE.rglob("*.py") if "migrations" not in module.parts]
    homes = Counter(name for module in modules for name in public_names(module) if not name.startswith("_"))
    assert {name for name, count in homes.items() if count > 1} == SHARED_NAMES


def test_the_writer_alone_says_that_a_change_is_committed() -> None:
    """A method that changes a gallery needs a ``Committed``. Made anywhere else, it would prove nothing."""
    package = REPOSITORY / "src" / "likeness"
    makers = [path for path in package.rglob("*.py") if re.search(r"\bCommitted\(", path.read_text())]
    assert [path.relative_to(package).as_posix() for path in makers] == ["store/writer.py"]


def functions(
    node: ast.AST, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Give all functions below a node, with their names such as ``SessionService.open``."""
    for child in ast.iter_child_nodes(node):
        inner = path
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = (*path, child.name)
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield ".".join(inner), child
        yield from functions(child, inner)


def is_large(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = function.args
    parameters = [
        each.arg
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        if each.arg not in {"self", "cls"}
    ]
    lines = (function.end_lineno or 0) - function.lineno + 1
    return lines > LONGEST_FUNCTION_LINES or len(parameters) > MOST_PARAMETERS


def test_functions_are_small() -> None:
    modules = [module for module in PACKAGE.rglob("*.py") if "versions" not in module.parts]
    found = (each for module in modules for each in functions(ast.parse(module.read_text())))
    assert {name for name, function in found if is_large(function)} == LARGE_FUNCTIONS


def test_the_page_on_the_architecture_is_one_page() -> None:
    lines = PAGE.splitlines()
    assert len(lines) <= 200
    assert not [line for line in lines if len(line) > 120]


def test_paths_on_the_page_lead_somewhere() -> None:
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    named = {name for name in re.findall(r"`([\w./-]+)`", prose) if "/" in name or name.endswith((".py", ".toml"))}
    assert len(named) > 50
    assert not [name for name in named if not ((PACKAGE / name).exists() or (REPOSITORY / name).exists())]


def test_the_page_has_the_layers_of_the_import_rules() -> None:
    rules = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    picture = PAGE.split("```text\n")[1].split("```")[0]
    assert [re.split(r"\s+[│▼]", line)[0] for line in picture.splitlines()] == rules


def test_the_page_has_every_folder_pool_and_lock() -> None:
    modules = [module for module in PACKAGE.rglob("*.py") if "migrations" not in module.parts]
    code = {str(module.relative_to(PACKAGE)): module.read_text() for module in modules}
    made = r"(?:SizedExecutor\(|ThreadPoolExecutor\([^)]*?|Thread\([^)]*?name=)\"([\w-]+)\""
    pools = {name for text in code.values() for name in re.findall(made, text)}
    assert len(pools) > 8
    assert not [name for name in pools if f"`{name}`" not in PAGE]
    locking = {path for path, text in code.items() if re.search(r"\b(?:Lock|Condition|BoundedSemaphore)\b\(", text)}
    locking |= {path for path, text in code.items() if "default_factory=threading.Lock" in text}
    assert not [path for path in locking if f"`{path}`" not in PAGE]
    folders = {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").exists()}
    assert not [name for name in folders if f"`{name}/`" not in PAGE]
