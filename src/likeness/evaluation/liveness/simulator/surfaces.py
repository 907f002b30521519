"""Shapes before a camera, and their intersections with rays."""

from dataclasses import dataclass, fields
from typing import Protocol

import cv2
import numpy as np

from likeness.kit.arrays import FloatArray

HEAD_WIDTH_CM = 14.8
LANDMARKS_CM = np.array(((-3.15, 0.0), (3.15, 0.0), (0.0, 4.2), (-2.5, 6.4), (2.5, 6.4)), np.float32)
"""Eyes, nose tip and mouth corners of every simulated head. The photo is fitted to them."""

_STEPS_PER_CM = 8
_REACH_CM = 16.0


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The intersections of rays and a surface: object coordinates and unit normals, each (h, w). ``hit`` is 0..1."""

    x: FloatArray
    y: FloatArray
    z: FloatArray
    normal_x: FloatArray
    normal_y: FloatArray
    normal_z: FloatArray
    hit: FloatArray

    def part(self, where: tuple[slice, slice]) -> "Hits":
        return Hits(*(np.ascontiguousarray(getattr(self, field.name)[where]) for field in fields(self)))


class Surface(Protocol):
    """A surface that rays can hit."""

    def meet(self, origin: FloatArray, ray_x: FloatArray, ray_y: FloatArray, ray_z: FloatArray) -> Hits:
        """Return the first intersection of each ray from ``origin`` (3,), in object coordinates."""
        ...


@dataclass(frozen=True, slots=True)
class Plane:
    """A stiff sheet at z = 0."""

    def meet(self, origin: FloatArray, ray_x: FloatArray, ray_y: FloatArray, ray_z: FloatArray) -> Hits:
        along = -origin[2] / np.minimum(ray_z, np.float32(-1e-3))
        zero, one = np.zeros_like(ray_x), np.ones_like(ray_x)
        return Hits(origin[0] + along * ray_x, origin[1] + along * ray_y, zero, zero, zero, one, one)


@dataclass(frozen=True, slots=True)
class Cylinder:
    """A sheet bent around a vertical axis, convex towards the camera. ``x`` is measured along the paper."""

    radius_cm: float

    def meet(self, origin: FloatArray, ray_x: FloatArray, ray_y: FloatArray, ray_z: FloatArray) -> Hits:
        radius = np.float32(self.radius_cm)
        depth = origin[2] + radius
        a = ray_x * ray_x + ray_z * ray_z
        b = origin[0] * ray_x + depth * ray_z
        root = b * b - a * (origin[0] * origin[0] + depth * depth - radius * radius)
        hit = (root > 0).astype(np.float32)
        along = (-b - np.sqrt(np.maximum(root, 0))) / a
        x = origin[0] + along * ray_x
        z = depth + along * ray_z
        return Hits(
            radius * np.arctan2(x, z),
            origin[1] + along * ray_y,
            z - radius,
            x / radius,
            np.zeros_like(x),
            z / radius,
            hit,
        )


class Head:
    """An ellipsoid with a relief of nose, brows, eye sockets, cheeks, lips and chin. The relief is random."""

    def __init__(self, chance: np.random.Generator, *, nose_x_cm: float = 0.0, nose_y_cm: float = 4.2) -> None:
        self._half_width, self._half_height, self._half_depth = (
            np.float32(size * chance.normal(1, 0.04)) for size in (7.4, 15.0, 9.5)
        )
        side = int(2 * _REACH_CM * _STEPS_PER_CM) + 1
        self._relief = _relief(chance, side, nose_x_cm, nose_y_cm)
        self._slope_x, self._slope_y = (
            np.asarray(cv2.Sobel(self._relief, cv2.CV_32F, right, down, ksize=3, scale=_STEPS_PER_CM / 8), np.float32)
            for right, down in ((1, 0), (0, 1))
        )
        self.front_cm = float(self._half_depth)
        """Distance from the centre of the head to the front of the face."""

    def meet(self, origin: FloatArray, ray_x: FloatArray, ray_y: FloatArray, ray_z: FloatArray) -> Hits:
        # The coordinates are those of the unit sphere. The relief moves the ellipsoid towards the camera, and a few
        # iterations find the intersection.
        a, b, c = self._half_width, self._half_height, self._half_depth
        dx, dy, dz = ray_x / a, ray_y / b, ray_z / c
        ox, oy = origin[0] / a, origin[1] / b
        dd = dx * dx + dy * dy + dz * dz
        flat = ox * dx + oy * dy
        lift = np.zeros_like(ray_x)
        for _ in range(4):
            oz = (origin[2] - lift) / c
            half = flat + oz * dz
            root = half * half - dd * (ox * ox + oy * oy + oz * oz - 1)
            along = (-half - np.sqrt(np.maximum(root, 0))) / dd
            x, y = origin[0] + along * ray_x, origin[1] + along * ray_y
            lift = self._look_up(self._relief, x, y)
        hit = (root > 0).astype(np.float32)
        z = origin[2] + along * ray_z
        outward = (z - lift) / (c * c)
        nx = x / (a * a) - outward * self._look_up(self._slope_x, x, y)
        ny = y / (b * b) - outward * self._look_up(self._slope_y, x, y)
        length = np.sqrt(nx * nx + ny * ny + outward * outward) + np.float32(1e-9)
        return Hits(x, y, z, nx / length, ny / length, outward / length, hit * _outline(x, y))

    @staticmethod
    def _look_up(table: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
        return np.asarray(
            cv2.remap(
                table,
                (x + _REACH_CM) * _STEPS_PER_CM,
                (y + _REACH_CM) * _STEPS_PER_CM,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            ),
            np.float32,
        )


def _outline(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the head's outline in 0..1: a crown above, a narrower jaw and chin below, and a soft edge."""
    down = np.maximum(y, 0)
    width = np.float32(7.6) - np.float32(0.016) * down * down
    height = np.where(y > 0, np.float32(11.4), np.float32(12.2))
    radius = (x / width) ** 2 + (np.abs(y) / height) ** 3
    return np.asarray(np.clip((1 - radius) * 8, 0, 1), np.float32)


def _relief(chance: np.random.Generator, side: int, nose_x_cm: float, nose_y_cm: float) -> FloatArray:
    axis = np.linspace(-_REACH_CM, _REACH_CM, side, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)

    def hill(height: float, at_x: float, at_y: float, wide: float, tall: float) -> FloatArray:
        height *= chance.normal(1, 0.25)
        return np.asarray(height * np.exp(-(((x - at_x) / wide) ** 2 + ((y - at_y) / tall) ** 2) / 2), np.float32)

    relief = sum(
        hill(height, sign * at_x, at_y, wide, tall)
        for height, at_x, at_y, wide, tall in (
            (0.45, 3.0, -1.8, 2.3, 0.8),
            (-0.6, 3.15, 0.1, 1.2, 0.8),
            (0.4, 4.6, 3.0, 1.6, 1.4),
            (-0.4, 4.6, 7.2, 1.6, 1.8),
        )
        for sign in (-1, 1)
    )
    relief = relief + hill(0.8, 0, 6.5, 2.2, 1.7) + hill(1.4, 0, 10.3, 2.2, 1.4)
    # The nose is a ridge that rises from between the eyes to the tip and ends steeply below it.
    tip = np.float32(chance.normal(2.5, 0.35))
    top = 0.6
    rise = np.clip((y - top) / (nose_y_cm - top), 0, 1)
    below = np.exp(-np.square(np.maximum(y - nose_y_cm, 0) / 0.55) / 2)
    centre = nose_x_cm * rise
    across = np.exp(-np.square((x - centre) / (0.75 + 0.45 * rise)) / 2)
    relief = relief + tip * (0.15 + 0.85 * rise) * across * below * np.clip(y - top + 2, 0, 1)
    rough = cv2.resize(chance.normal(0, 0.25, (14, 14)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.GaussianBlur(relief + rough, (0, 0), 0.25 * _STEPS_PER_CM), np.float32)
