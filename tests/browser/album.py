"""A picture of every step, kept for people to look at."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page


def artefacts_folder() -> Path:
    """Give the folder for pictures: ``LIKENESS_TEST_ARTEFACTS``, or one beside the system's temporary files."""
    return Path(os.environ.get("LIKENESS_TEST_ARTEFACTS") or Path(tempfile.gettempdir()) / "likeness-artefacts")


@dataclass
class Album:
    """Keeps a picture of every step of one test; those of an earlier run make room."""

    name: str
    folder: Path = field(default_factory=artefacts_folder)
    count: int = 0

    def __post_init__(self) -> None:
        for old in self.folder.glob(f"{self.name}-[0-9][0-9]-*.png"):
            old.unlink(missing_ok=True)

    def add(self, page: Page, step: str) -> None:
        self.count += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.name}-{self.count:02}-{step}.png"
        page.screenshot(path=path, animations="disabled")
