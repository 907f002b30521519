"""Fuzz all targets for some time: run.py SECONDS [TARGET...]. Ends with status 1 if it finds anything.

What it finds is written into ``corpus``, where the tests run it from then on. The native scan is compiled with
AddressSanitizer (clang).
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
NATIVE = HERE.parents[1] / "src" / "likeness" / "index" / "native"
WORK = HERE.parents[1] / "build" / "fuzz"
LONGEST = {"photo": 32768, "form": 8192, "json": 65536, "message": 2048, "scan": 4096}
FLAGS = ("-timeout=20", "-rss_limit_mb=3000", "-use_value_profile=1", "-print_final_stats=1", "-verbosity=0")
JOBS = 2
DECODERS_OWN = ("Corrupt JPEG", "Warning: ", "INFO: ", "Premature end", "Invalid SOS", "Unsupported marker")
"""What the decoders of images write about bad images, and the fuzzer about itself."""


def build_native() -> Path:
    """Compile the native scan with AddressSanitizer and the fuzzer's counters."""
    made = WORK / "_native.abi3.so"
    compiler = shutil.which("clang")
    if compiler is None:
        sys.exit("clang is missing: apt-get install clang libclang-rt-14-dev")
    checks = "-fsanitize=address,undefined,fuzzer-no-link", "-fno-sanitize-recover=undefined", "-fno-sanitize=vptr"
    options = "-shared", "-fPIC", "-O1", "-g", "-std=c11", f"-I{sysconfig.get_path('include')}"
    sources = sorted(map(str, NATIVE.glob("*.c")))
    subprocess.run([compiler, *options, *checks, *sources, "-lm", "-o", str(made)], check=True)
    return made


def sanitizer() -> Path:
    """Give atheris's library that must be loaded before a checked module."""
    return Path(sysconfig.get_path("platlib")) / "asan_with_fuzzer.so"


def fuzz(name: str, seconds: int, native: Path) -> tuple[str, int, str]:
    """Fuzz one target. Give its name, its status and its output."""
    found = WORK / name
    found.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    if name == "scan":
        environment |= {
            "LIKENESS_FUZZ_NATIVE": str(native),
            "LD_PRELOAD": str(sanitizer()),
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        }
    command = [sys.executable, str(HERE / "one.py"), name, *FLAGS, f"-max_total_time={seconds}"]
    command += [f"-max_len={LONGEST[name]}", f"-artifact_prefix={CORPUS / name}/", str(found), str(CORPUS / name)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    return name, done.returncode, done.stdout + done.stderr


def main(arguments: Sequence[str]) -> int:
    seconds, names = int(arguments[0]), arguments[1:] or list(LONGEST)
    WORK.mkdir(parents=True, exist_ok=True)
    native = build_native()
    each = max(1, seconds * min(JOBS, len(names)) // len(names))
    print(f"{len(names)} targets, {each} s each, {JOBS} at once", flush=True)
    began, failed = time.monotonic(), 0
    with ThreadPoolExecutor(JOBS) as pool:
        for name, status, output in pool.map(lambda name: fuzz(name, each, native), names):
            facts = [line for line in output.splitlines() if line.startswith(("stat::number_of_exec", "stat::peak"))]
            print(f"{name}: {'found nothing' if not status else 'FOUND SOMETHING'}; {'; '.join(facts)}", flush=True)
            if status:
                failed = 1
                print(
                    *(line for line in output.splitlines() if not line.startswith(DECODERS_OWN)), sep="\n", flush=True
                )
    print(f"{time.monotonic() - began:.0f} s")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
