"""A token of SoftHSM2 with an AES key. It is a real PKCS#11 library, whose device is a folder."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOKEN, LABEL, PIN = "likeness", "master", "1234"
PLACES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")


def soft_hsm(folder: Path, patch: pytest.MonkeyPatch) -> str:
    """Make a token with a key. Give the library's path. Skip where SoftHSM2 is not installed (Debian: softhsm2).

    The library reads its settings once in a process, so one folder serves all tests.
    """
    module = os.environ.get("LIKENESS_TEST_SOFTHSM") or next((path for path in PLACES if Path(path).exists()), None)
    program = os.environ.get("LIKENESS_TEST_SOFTHSM_UTIL") or shutil.which("softhsm2-util")
    if module is None or program is None:
        pytest.skip("SoftHSM2 is not installed (Debian: the package softhsm2)")
    settings = folder / "softhsm2.conf"
    (folder / "tokens").mkdir()
    settings.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    patch.setenv("SOFTHSM2_CONF", str(settings))
    made = ("--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "5678")
    subprocess.run([program, "--module", module, *made], check=True, capture_output=True)
    import pkcs11  # noqa: PLC0415  an extra

    with pkcs11.lib(module).get_token(token_label=TOKEN).open(user_pin=PIN, rw=True) as session:
        session.generate_key(pkcs11.KeyType.AES, 256, label=LABEL, store=True)
    return module
