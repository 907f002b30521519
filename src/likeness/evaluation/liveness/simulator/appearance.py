"""Appearances that the photos of a data set show too rarely: they are painted on a portrait.

They change how a simulated person looks, not the shape of the head.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.evaluation.liveness.simulator.portrait import HEIGHT, LEFT_CM, PIXELS_PER_CM, TOP_CM, WIDTH, Portrait
from likeness.kit.arrays import FloatArray

_GAMMA = 2.2
_HAIR = ((22, 18, 16), (70, 46, 30), (128, 124, 120), (130, 76, 42))
"""sRGB of hair: black, brown, grey, ginger."""
_RIMS = ((15, 15, 18), (70, 42, 24), (150, 120, 60))
"""sRGB of the rims of glasses: black, brown, golden."""
_LENS_Y = 0.2
_X, _Y = (
    (axis.astype(np.float32) / np.float32(PIXELS_PER_CM) - np.float32(origin))
    for axis, origin in zip(np.mgrid[0:HEIGHT, 0:WIDTH][::-1], (LEFT_CM, TOP_CM), strict=True)
)
"""The place of each pixel of a portrait in centimetres from the point between the eyes."""


def darken_skin(portrait: Portrait, chance: np.random.Generator) -> Portrait:
    """Give head and neck a dark skin: the middle of the face reflects 6 % to 14 % of the light (L* 30 to 45)."""
    light = (portrait.pixels.astype(np.float32) / 255) ** np.float32(_GAMMA)
    present = float(light[_oval(4.0, 6.0, 2.0) < 1].mean())
    factor = min(float(chance.uniform(0.062, 0.144)) / max(present, 1e-3), 1.0)
    dark = light * np.array((1.1, 1.0, 0.85), np.float32) * np.float32(factor)
    skin = np.maximum(_inside(_oval(8.0, 13.0, 0.0)), _soft((np.abs(_X) < 5.5) & (_Y > 0) & (_Y < 17)))
    return _painted(portrait, np.asarray(dark ** np.float32(1 / _GAMMA) * 255, np.float32), skin)


def put_on_glasses(portrait: Portrait, chance: np.random.Generator) -> Portrait:
    """Put on glasses. Each lens mirrors a part of the screen, and of a window behind it."""
    wide, tall = float(chance.uniform(2.2, 2.7)), float(chance.uniform(1.6, 2.2))
    thick = float(chance.uniform(0.12, 0.4))
    lenses, outer = (
        np.maximum(*(_inside(_oval(wide + by, tall + by, _LENS_Y, side * 3.15)) for side in (-1, 1)))
        for by in (0.0, thick)
    )
    bridge = (np.abs(_X) < 1.0) & (np.abs(_Y + 0.1) < thick / 2)
    temples = (np.abs(_X) > 3.15 + wide) & (np.abs(_Y + 0.1) < thick / 2)
    rims = np.maximum(outer - lenses, _soft(bridge | temples))
    worn = _painted(portrait, _flat(_RIMS[chance.integers(len(_RIMS))]), rims)
    window, screen = (_reflections(chance) * lenses for _ in range(2))
    worn = _painted(worn, _flat((235, 240, 245)), window * np.float32(chance.uniform(0.2, 0.6)))
    # Fresnel's 4 % of each face of the glass, of a screen about four times as bright as its light on the face.
    return replace(worn, gloss_map=np.asarray(screen * np.float32(chance.uniform(0.08, 0.3)), np.float32))


def grow_beard(portrait: Portrait, chance: np.random.Generator) -> Portrait:
    """Grow a full beard of any colour on jaw, chin and upper lip, with strands."""
    face = _oval(6.8, 10.0, 2.0) < 1
    where = face & ((_Y > 5.1) | ((np.abs(_X) > 4.8) & (_Y > 1.5)))
    lips = _oval(2.7, 0.8, 6.5) < 1
    cover = _soft(where & ~lips, 0.25) * np.float32(chance.uniform(0.75, 0.95))
    strands = cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 0.8, sigmaY=3.0)
    hair = _flat(_HAIR[chance.integers(len(_HAIR))]) * (1 + 0.18 * strands / strands.std())[..., None]
    return _painted(portrait, hair, cover)


def put_on_hijab(portrait: Portrait, chance: np.random.Generator) -> Portrait:
    """Put on a hijab: cloth of one colour with folds covers hair, ears, neck and shoulders."""
    face = _inside(_oval(float(chance.uniform(5.2, 6.0)), float(chance.uniform(7.8, 8.8)), 2.8))
    folds = cv2.resize(chance.normal(0, 1, (8, 14)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    weave = cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.0)
    colour = chance.uniform(15, 235) + chance.normal(0, 30, 3)
    cloth = np.clip(colour, 8, 245).astype(np.float32) * (1 + 0.12 * folds + 0.15 * weave)[..., None]
    return _painted(portrait, cloth, 1 - face)


def _oval(half_width: float, half_height: float, y: float, x: float = 0.0) -> FloatArray:
    """Return each pixel's distance from the middle of an oval; 1 is its edge."""
    return np.asarray(np.sqrt(((_X - x) / half_width) ** 2 + ((_Y - y) / half_height) ** 2), np.float32)


def _inside(distance: FloatArray) -> FloatArray:
    return np.asarray(np.clip((1 - distance) * 40 + 0.5, 0, 1), np.float32)


def _soft(where: NDArray[np.bool_], edge_cm: float = 0.1) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(where.astype(np.float32), (0, 0), edge_cm * PIXELS_PER_CM), np.float32)


def _flat(colour: tuple[int, int, int]) -> FloatArray:
    return np.full((HEIGHT, WIDTH, 3), colour, np.float32)


def _reflections(chance: np.random.Generator) -> FloatArray:
    """Return a bright spot at the same place of both lenses."""
    x, y = chance.uniform(-1.2, 1.2), _LENS_Y + chance.uniform(-0.8, 0.8)
    wide, tall = chance.uniform(0.3, 1.1, 2)
    return np.asarray(
        np.maximum(*(np.exp(-(_oval(wide, tall, y, side * 3.15 + x) ** 4)) for side in (-1, 1))), np.float32
    )


def _painted(portrait: Portrait, paint: FloatArray, cover: FloatArray) -> Portrait:
    mixed = portrait.pixels + cover[..., None] * (paint - portrait.pixels)
    return replace(portrait, pixels=np.clip(mixed, 0, 255).astype(np.uint8))
