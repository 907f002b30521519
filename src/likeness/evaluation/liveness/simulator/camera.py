"""A webcam or front camera: lens, automatic exposure and white balance, tones, sensor noise, smoothing, JPEG."""

from dataclasses import dataclass

import cv2
import numpy as np

from likeness.engine.base import Image
from likeness.kit.arrays import FloatArray

_METERED = 0.19
"""The linear, centre-weighted brightness that the automatic exposure aims at."""


_BRIGHTER = np.round(255 * (np.arange(256) / 255) ** 0.88).astype(np.uint8)
"""The tones of a beauty filter."""


@dataclass(frozen=True, slots=True)
class Optics:
    """One camera model, drawn at random."""

    width: int
    height: int
    focal_pixels: float
    distortion: float
    """First radial coefficient. A negative one is barrel distortion."""
    blur_pixels: float
    noise: float
    """Standard deviation in the tone-mapped image, 0..255. There, shot noise has the same deviation everywhere."""
    exposure_seconds: float
    """Time constant of automatic exposure."""
    balance: float
    """Fraction of a grey-world colour cast that automatic white balance removes."""
    balance_seconds: float
    jpeg_quality: int
    exposure_stops: float = 0.0
    """The steps in which automatic exposure moves, in stops. 0 is continuous."""
    local_tones: float = 0.0
    """How much a high dynamic range (HDR) evens out the brightness of different places: 0 not at all, 1 fully."""
    smoothing: float = 0.0
    """Strength of a filter that smooths skin: 0 none, 1 full."""
    readout_seconds: float = 0.0
    """The time between the capture of the first row and of the last (rolling shutter)."""

    @classmethod
    def draw(cls, chance: np.random.Generator) -> "Optics":
        width, height = (640, 480) if chance.random() < 0.75 else (480, 640)
        view = np.radians(chance.uniform(56, 78))
        return cls(
            width,
            height,
            float(640 / 2 / np.tan(view / 2)),
            float(chance.uniform(-0.12, 0.02)),
            float(chance.uniform(0.4, 0.8)),
            float(chance.uniform(1.2, 4.0)),
            float(chance.uniform(0.5, 2.5)),
            float(chance.uniform(0.0, 0.5)),
            float(chance.uniform(1.0, 3.0)),
            int(chance.integers(70, 93)),
        )


class Camera:
    """A camera from linear light to the bytes that a page sends. It holds the state of its automatic controls."""

    def __init__(self, optics: Optics, chance: np.random.Generator) -> None:
        self.optics = optics
        self._chance = chance
        noise = chance.normal(0, 1, (optics.height + 64, optics.width + 64, 3)).astype(np.float32)
        soft = cv2.GaussianBlur(noise, (0, 0), 0.45)
        self._noise = np.asarray(soft / soft.std() * np.float32(optics.noise), np.float32)
        axis_y, axis_x = np.mgrid[0:32, 0:32].astype(np.float32) / 15.5 - 1
        weight = np.exp(-(axis_x**2 + axis_y**2))
        self._weight = (weight / weight.sum())[..., None]
        self._rays: dict[int, tuple[FloatArray, FloatArray]] = {}
        self._exposure = 0.0
        self._gains = np.ones(3)
        self._last_seconds = 0.0

    def rays(self, step: int) -> tuple[FloatArray, FloatArray]:
        """Return the directions (x/z, y/z) of every ``step``-th pixel, with lens distortion."""
        if step in self._rays:
            return self._rays[step]
        rows, columns = np.mgrid[0 : self.optics.height : step, 0 : self.optics.width : step].astype(np.float32)
        middle = (step - 1) / 2
        x = (columns + middle - self.optics.width / 2) / self.optics.focal_pixels
        y = (rows + middle - self.optics.height / 2) / self.optics.focal_pixels
        # The inverse of p(1 + k r²) to first order is enough for such small coefficients.
        bend = 1 - self.optics.distortion * (x * x + y * y)
        self._rays[step] = x * bend, y * bend
        return self._rays[step]

    def develop(self, light: FloatArray, at_seconds: float) -> Image:
        """Expose, balance and add noise: from (h, w, 3) linear light to uint8 RGB."""
        small = cv2.resize(light, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_NEAREST)
        small = cv2.resize(small, (32, 32), interpolation=cv2.INTER_AREA)
        mean = (small * self._weight).sum((0, 1))
        wanted = _METERED / max(float(mean.mean()), 1e-6)
        cast = (float(mean.mean()) / np.maximum(mean, 1e-6)) ** self.optics.balance
        if self._exposure:
            passed = max(at_seconds - self._last_seconds, 0.0)
            self._exposure *= (wanted / self._exposure) ** (1 - np.exp(-passed / self.optics.exposure_seconds))
            self._gains *= (cast / self._gains) ** (1 - np.exp(-passed / self.optics.balance_seconds))
        else:
            self._exposure, self._gains = wanted, cast
        self._last_seconds = at_seconds
        if self.optics.local_tones:
            light = light * self._local_gain(light)
        # The root of 255² scales the tone-mapped image to 0..255. The conversion to bytes saturates.
        gain = np.tile((self._steps(self._exposure) * self._gains * 255**2).astype(np.float32), light.shape[1])
        toned = cv2.sqrt(light.reshape(len(light), -1) * gain).reshape(light.shape)
        toned = cv2.GaussianBlur(toned, (0, 0), self.optics.blur_pixels)
        row, column = self._chance.integers(0, 64, 2)
        noise = self._noise[row : row + self.optics.height, column : column + self.optics.width]
        image = np.asarray(cv2.add(toned, noise, dtype=cv2.CV_8U), np.uint8)
        return self._smooth(image) if self.optics.smoothing else image

    def _steps(self, exposure: float) -> float:
        stops = self.optics.exposure_stops
        return float(2.0 ** (round(np.log2(exposure) / stops) * stops)) if stops else exposure

    def _local_gain(self, light: FloatArray) -> FloatArray:
        """Return factors (h, w, 1) that darken bright places and brighten dark ones, as an HDR does."""
        height, width = light.shape[:2]
        small = cv2.resize(light, (width // 8, height // 8), interpolation=cv2.INTER_AREA).mean(axis=2)
        blurred = cv2.GaussianBlur(small, (0, 0), 6.0) + np.float32(1e-4)
        factor = np.clip((blurred / np.median(blurred)) ** -self.optics.local_tones, 0.4, 2.5).astype(np.float32)
        return np.asarray(cv2.resize(factor, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)[..., None]

    def _smooth(self, image: Image) -> Image:
        """Smooth skin and brighten, as a beauty filter does. Edges stay."""
        soft = cv2.bilateralFilter(image, 7, 30.0, 4.0)
        mixed = cv2.addWeighted(soft, self.optics.smoothing, image, 1 - self.optics.smoothing, 0)
        return np.asarray(cv2.LUT(mixed, _BRIGHTER), np.uint8)

    def compress(self, image: Image) -> bytes:
        quality = (cv2.IMWRITE_JPEG_QUALITY, self.optics.jpeg_quality)
        return bytes(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1])
