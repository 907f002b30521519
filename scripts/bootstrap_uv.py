"""Install uv into a folder, with Python only: bootstrap_uv.py FOLDER.

If pip exists, it installs uv, because it knows the machine's package index. A bare Debian has no pip. There the script
fetches the wheel from the index and unpacks it. In both cases the wheel must have one of the hashes below.
"""

import hashlib
import html
import io
import os
import platform
import re
import stat
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

UV = "0.13.9"
INDEX = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
WHEELS = {  # by machine: a part of the wheel's name, and its SHA-256
    "x86_64": ("manylinux_2_17_x86_64", "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19"),
    "aarch64": ("manylinux_2_17_aarch64", "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe"),
}


def main(folder: Path) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  this message needs the check
        sys.exit(f"Likeness needs Python 3.11 or newer; this is {platform.python_version()}")
    print("setting up uv ...", file=sys.stderr)
    if not install_with_pip(folder):
        unpack_wheel(folder)


def install_with_pip(folder: Path) -> bool:
    """Install the wheel with pip, which refuses another hash. Give False if pip fails."""
    hashes = " ".join(f"--hash=sha256:{digest}" for _, digest in WHEELS.values())
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write(f"uv=={UV} {hashes}\n")
        wanted.flush()
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        pip += ["--only-binary", ":all:", "--no-deps", "--target", str(folder), "--requirement", wanted.name]
        done = subprocess.run(pip, check=False, capture_output=True)
    return done.returncode == 0 and (folder / "bin" / "uv").exists()


def unpack_wheel(folder: Path) -> None:
    if platform.system() != "Linux" or platform.machine() not in WHEELS:
        sys.exit(f"no uv for {platform.system()} on {platform.machine()}; install uv yourself and run this again")
    tag, digest = WHEELS[platform.machine()]
    page = f"{INDEX.rstrip('/')}/uv/"
    listing = fetch(page).decode()
    link = re.search(rf'href="([^"]*/uv-{re.escape(UV)}-py3-none-{tag}[^"#]*\.whl)', listing)
    if link is None:
        sys.exit(f"{page} lists no uv {UV} for this machine; install uv yourself and run this again")
    content = fetch(urllib.parse.urljoin(page, html.unescape(link.group(1))))
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit("the uv wheel does not have the expected hash; nothing was installed")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        target = folder / "bin" / "uv"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(member))
    target.chmod(target.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=300) as reply:
        return bytes(reply.read())


main(Path(sys.argv[1]))
