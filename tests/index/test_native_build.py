"""The compiled module builds without a warning, and the tests of the index find no memory error in it."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from index.test_kernels import NATIVE, here

TESTS = Path(__file__).parent
COMPILING = {"test_kernels.py", Path(__file__).name}
SOURCES = sorted(NATIVE.glob("*.c"))
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{sysconfig.get_path('include')}")
SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")

# Replaces the installed module by the sanitized one before a test imports it.
PLUGIN = """
import pathlib
import likeness.index
likeness.index.__path__.insert(0, str(pathlib.Path(__file__).parent))
from likeness.index import _native, compiled
assert compiled.BUILT and _native.__file__.startswith(likeness.index.__path__[0])
"""


@pytest.mark.parametrize("interface", [(), ("-DLIKENESS_FULL_API",)], ids=["stable-abi", "full-api"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_source_draws_a_warning(source: Path, interface: tuple[str, ...], tmp_path: Path) -> None:
    command = [here("cc"), "-O3", *WARNINGS, *interface, "-c", str(source), "-o", str(tmp_path / "object")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_the_index_is_searched_without_a_fault_of_memory(tmp_path: Path) -> None:
    compiler = here("cc")
    library = tmp_path / "_native.abi3.so"
    shared = ["-shared", "-fPIC", "-lm", "-o", str(library)]
    subprocess.run([compiler, *WARNINGS, *SANITIZERS, *map(str, SOURCES), *shared], check=True)
    (tmp_path / "sanitized.py").write_text(PLUGIN)
    runtime = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    environment = os.environ | {
        "LD_PRELOAD": runtime,
        "PYTHONPATH": str(tmp_path),
        "PYTHONMALLOC": "malloc",  # so that the sanitizer sees the bounds of each object
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter keeps much memory until its end
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    tests = [str(file) for file in sorted(TESTS.glob("test_*.py")) if file.name not in COMPILING]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "sanitized", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
