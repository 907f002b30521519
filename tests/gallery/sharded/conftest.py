"""A deployment on PostgreSQL with one gallery of real templates."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gallery.sharded.galleries import RealGallery, new_real_gallery, real_deployment, settings_on
from likeness.deployment import Deployment


@pytest.fixture
def deployment(tmp_path: Path, postgres_url: str) -> Iterator[Deployment]:
    with real_deployment(settings_on(tmp_path, postgres_url)) as deployment:
        yield deployment


@pytest.fixture
def gallery(deployment: Deployment) -> RealGallery:
    return new_real_gallery(deployment)
