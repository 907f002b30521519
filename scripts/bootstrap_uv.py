"""Put uv into a folder with nothing but Python: bootstrap_uv.py FOLDER.

pip is used where there is one, since it knows the machine's package index; a bare Debian has none, and there the wheel is fetched
from the index's JSON API, checked against its hash and unpacked.
"""

import hashlib
import io
import json
import os
import platform
import stat
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

UV = "0.13.9"
WHEEL_TAGS = {"x86_64": "manylinux_2_17_x86_64", "aarch64": "manylinux_2_17_aarch64", "arm64": "macosx_11_0_arm64"}


def main(folder: Path) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  this script is what tells
        sys.exit(f"Likeness needs Python 3.11 or newer; this is {platform.python_version()}")
    print("setting up uv ...", file=sys.stderr)
    if not install_with_pip(folder):
        unpack_wheel(folder)


def install_with_pip(folder: Path) -> bool:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(folder)]
    done = subprocess.run([*pip, f"uv=={UV}"], check=False, capture_output=True)
    return done.returncode == 0 and (folder / "bin" / "uv").exists()


def unpack_wheel(folder: Path) -> None:
    tag = WHEEL_TAGS.get(platform.machine())
    if tag is None:
        sys.exit(f"no uv for {platform.machine()} here; install uv yourself and run this again")
    index = os.environ.get("LIKENESS_PYPI_JSON", "https://pypi.org/pypi")
    with urllib.request.urlopen(f"{index}/uv/{UV}/json", timeout=60) as reply:
        files = json.load(reply)["urls"]
    wheel = next(file for file in files if file["filename"].endswith(".whl") and tag in file["filename"])
    with urllib.request.urlopen(wheel["url"], timeout=300) as reply:
        content = reply.read()
    if hashlib.sha256(content).hexdigest() != wheel["digests"]["sha256"]:
        sys.exit("the uv wheel does not have the hash that the index states; try again")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        target = folder / "bin" / "uv"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(member))
    target.chmod(target.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


main(Path(sys.argv[1]))
