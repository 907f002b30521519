"""The face session's types, as a page in TypeScript uses them."""

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

from lacking import skip_here

HERE = Path(__file__).parent
COMPILE = ("--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--module", "nodenext")


def test_the_components_types_compile(tmp_path: Path) -> None:
    node, compiler = shutil.which("node"), HERE / "node_modules" / ".bin" / "tsc"
    if node is None or not compiler.exists():
        skip_here("Node or its packages are missing (npm ci in tests/conformance)")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(HERE / "component.ts", tmp_path)
    (tmp_path / "face-session").mkdir()
    types = files("likeness") / "static" / "face-session" / "index.d.ts"
    (tmp_path / "face-session" / "index.d.ts").write_text(types.read_text(encoding="utf-8"), encoding="utf-8")
    command = [node, str(compiler), *COMPILE, "component.ts"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
