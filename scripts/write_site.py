"""Build the site of the documents into dist/site: write_site.py [--serve].

The pages are the repository's own Markdown files, at the same paths, so their links lead to the same places. The
script ends with status 1 if a link leads nowhere, or if a page loads something from another server. With --serve it
shows the site on a local address until it is stopped.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "deploy", "clients/python/README.md")
SOURCE = REPOSITORY / "build" / "site"
SITE = REPOSITORY / "dist" / "site"
LOADED = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?((?:https?:)?//[^"' >]+)""")
LINKED = re.compile(
    r"""<link\b(?=[^>]*\brel=["']?(?:stylesheet|preconnect|icon))[^>]*\bhref=["']?((?:https?:)?//[^"' >]+)"""
)


def collect() -> None:
    """Copy the pages and what they show to one folder."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for name in PAGES:
        path, target = REPOSITORY / name, SOURCE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copy(path, target)


def loaded_from_elsewhere() -> list[str]:
    """Give what pages of the site load from other servers."""
    found = []
    for page in sorted(SITE.rglob("*.html")):
        text = page.read_text()
        found += [f"{page.relative_to(SITE)}: {address}" for address in LOADED.findall(text) + LINKED.findall(text)]
    return found


def main() -> None:
    collect()
    shutil.rmtree(SITE, ignore_errors=True)
    command = ["zensical", "serve"] if sys.argv[1:] == ["--serve"] else ["zensical", "build", "--clean", "--strict"]
    status = subprocess.run(command, cwd=REPOSITORY, check=False).returncode
    if status:
        sys.exit(status)
    if not (SITE / "index.html").exists():
        sys.exit("the site has no first page")
    if found := loaded_from_elsewhere():
        sys.exit("pages load from other servers:\n" + "\n".join(found))


if __name__ == "__main__":
    main()
