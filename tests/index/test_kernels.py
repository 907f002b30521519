"""The compiled module was built, and every kernel sums exactly. An emulator runs ARM's kernels."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lacking import skip_here
from likeness.index import compiled

NATIVE = Path(__file__).parents[2] / "src" / "likeness" / "index" / "native"
SOURCES = [Path(__file__).with_name("check_kernels.c"), *sorted(NATIVE.glob("kernel_*.c"))]
ARM_COMPILER, ARM_EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"


def here(program: str) -> str:
    """Give the program's path. Without the program the test is skipped, but fails in the checks of every change."""
    path = shutil.which(program)
    if path is None:
        skip_here(f"no {program} here")
    return path


def built(compiler: str, folder: Path, *more_flags: str) -> str:
    program = str(folder / "check_kernels")
    flags = ["-O3", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{NATIVE}", *more_flags]
    subprocess.run([compiler, *flags, *map(str, SOURCES), "-o", program], check=True)
    return program


def checked(*command: str) -> list[str]:
    """Give the names of the checked kernels. A wrong dot product fails."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.skipif("CI" not in os.environ, reason="a machine without a compiler or headers has no compiled module")
def test_the_compiled_module_is_there() -> None:
    assert compiled.BUILT


def test_the_kernels_of_this_machine_sum_exactly(tmp_path: Path) -> None:
    assert "portable" in checked(built(here("cc"), tmp_path))


@pytest.mark.parametrize(
    ("processor", "kernels"),
    [("max", ["neon-dotprod", "neon", "portable"]), ("cortex-a53", ["neon", "portable"])],
)
def test_the_kernels_of_arm_sum_exactly(processor: str, kernels: list[str], tmp_path: Path) -> None:
    program = built(here(ARM_COMPILER), tmp_path, "-static")
    assert checked(here(ARM_EMULATOR), "-cpu", processor, program) == kernels
