"""How the shards of a deployment are laid out."""

from dataclasses import dataclass
from typing import Self

from likeness.deployment import Deployment
from likeness.gallery.repository import Part

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Layout:
    """``parts`` parts with ``replicas`` replicas each, of which each holds at most ``limit_bytes``.

    The ``namespace`` is the deployment's: two deployments on one cluster have their own shards.
    """

    parts: int
    replicas: int
    limit_bytes: int
    namespace: str

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        settings = deployment.settings
        limit_bytes = settings.shard_megabytes * MEGABYTE
        return cls(settings.gallery_parts, settings.gallery_replicas, limit_bytes, deployment.cluster_namespace)

    def name_of(self, part: Part) -> str:
        """Name a part. Layouts that differ have no name in common."""
        return f"part {part.number} of {part.count}, {self._replicas}"

    def has(self, shard: str) -> bool:
        """Whether a shard, by its name, is of this layout."""
        return f" of {self.parts}, {self._replicas}, replica " in shard

    @property
    def _replicas(self) -> str:
        return f"{self.replicas} replicas of {self.limit_bytes // MEGABYTE} MB"
