"""Write the generated parts of docs/*.md: write_docs.py [--check].

Such a part is between ``<!-- generated: NAME -->`` and ``<!-- end -->``. The parts and the pictures of
docs/performance.md come from benchmarks/last_release.json, all others from the code. With --check nothing is written,
and the script ends with status 1 if a file differs.
"""

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from likeness.cli import app
from likeness.errors import MEANINGS, ErrorCode, raised_errors
from likeness.kit.metrics import METRICS
from likeness.settings import PREFIX, Settings

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.append(str(REPOSITORY / "benchmarks"))
from reporting.measurement import Measurement
from reporting.performance import LAST_RELEASE, PICTURES, parts, pictures

DOCS = REPOSITORY / "docs"
WIDTH = 120
PART = re.compile(r"(?<=<!-- generated: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
RELEASE = Measurement.read(LAST_RELEASE)
DEFAULTS_IN_WORDS = {"workers": "the number of cores"}


def settings() -> Iterator[str]:
    """Give a section for each setting, with its meaning and its default."""
    for name, field in Settings.model_fields.items():
        value = field.default
        written = "none" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"
        yield f"### `{PREFIX}{name.upper()}`"
        yield paragraph(f"{field.description} Default: {DEFAULTS_IN_WORDS.get(name, written)}.")
        yield ""


def metrics() -> Iterator[str]:
    """Give a table of the metrics of a server."""
    import_module("likeness.app")  # its modules make them
    yield "| metric | type | labels | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, metric in sorted(METRICS.items()):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"| `{name}` | {metric.kind} | {labels} | {metric.meaning} |"


def errors() -> Iterator[str]:
    """Give a section for each error code, with its statuses and its meaning."""
    for code in ErrorCode:
        statuses = sorted({error.status for error in raised_errors() if error.code is code})
        yield f"### `{code}`"
        yield paragraph(f"{', '.join(map(str, statuses))}. {MEANINGS[code]}")
        yield ""


def commands() -> Iterator[str]:
    """Give a table of the commands, each with the first paragraph of its help."""
    yield "| command | what it does |"
    yield "| --- | --- |"
    for name, command in walk("likeness", typer.main.get_command(app)):
        first_paragraph = command.help.partition("\n\n")[0]
        yield f"| `{name}` | {' '.join(first_paragraph.split())} |"


def calls() -> Iterator[str]:
    """Give a table of the calls in docs/openapi.json."""
    yield "| call | what it does | permission | answers |"
    yield "| --- | --- | --- | --- |"
    description = json.loads((DOCS / "openapi.json").read_text())
    for path, methods in description["paths"].items():
        for method, call in methods.items():
            scopes = [scope for way in call["security"] for scope in way.get("oauth2", ())]
            permission = " or ".join(f"`{scope}`" for scope in scopes) or "none"
            statuses = ", ".join(sorted(call["responses"].keys() - {"500"}))
            yield f"| `{method.upper()} {path}` | {call['summary']} | {permission} | {statuses} |"


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "settings": settings,
    "metrics": metrics,
    "errors": errors,
    "commands": commands,
    "calls": calls,
    **parts(RELEASE),
}


def written(page: str) -> str:
    """Give a page with its generated parts renewed."""
    return PART.sub(lambda part: f"{part[1]}{part[2]}\n{_text(part[1])}\n\n", page)


def _text(part: str) -> str:
    return "\n".join(PARTS[part]()).strip()


def paragraph(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Give the commands of a group, or the command itself, each with its full name."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for sub, below in command.commands.items():
        yield from walk(f"{name} {sub}", below)


def main() -> None:
    pages = {file: file.read_text() for file in sorted(DOCS.glob("*.md"))}
    named = sorted(part[1] for page in pages.values() for part in PART.finditer(page))
    if named != sorted(PARTS):
        sys.exit(f"the generated parts of docs/*.md are {named} but must be {sorted(PARTS)}")
    files = {file: written(page) for file, page in pages.items()}
    files |= {PICTURES / name: picture for name, picture in pictures(RELEASE).items()}
    differ = {file: new for file, new in files.items() if not file.exists() or file.read_text() != new}
    stale = set(PICTURES.glob("*.svg")) - set(files)
    if "--check" in sys.argv[1:]:
        if wrong := sorted(file.name for file in (*differ, *stale)):
            sys.exit(f"{', '.join(wrong)}: differs from its source; run `make docs`")
        return
    PICTURES.mkdir(exist_ok=True)
    for file, new in differ.items():
        file.write_text(new)
        print(file.name)
    for file in stale:
        file.unlink()


if __name__ == "__main__":
    main()
