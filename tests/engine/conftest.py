"""Engines and photos that several tests share. The photos are in public packages, which are read and never imported."""

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from lacking import skip_here
from likeness.engine.base import Engine
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine


def package_file(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    file = Path(folders[0], path) if folders else Path(path)
    if not file.exists():
        skip_here(f"the package {package}, which ships {path}, is not installed")
    return file


@pytest.fixture(scope="session")
def astronaut() -> bytes:
    """Return a public-domain portrait of 512 x 512 pixels, with one face of about 90 pixels."""
    return package_file("skimage", "data/astronaut.png").read_bytes()


@pytest.fixture(scope="session")
def group() -> bytes:
    """Return a photo of six people, 1280 x 886 pixels."""
    return package_file("insightface", "data/images/t1.jpg").read_bytes()


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def builtin(models_dir: Path) -> Engine:
    return load_engine(PackId("builtin"), models_dir=models_dir)


@pytest.fixture(scope="session")
def engine_of(models_dir: Path, data: Path) -> Callable[[str], Engine]:
    """Return a function that loads a pack once, with the test data's models as the mirror."""
    return cache(lambda pack: load_engine(pack, models_dir=models_dir, mirror=data / "models"))
