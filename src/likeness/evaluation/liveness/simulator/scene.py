"""Rendering of textured surfaces in a room, lit by the room and by the screen."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.evaluation.liveness.simulator.camera import Camera
from likeness.evaluation.liveness.simulator.portrait import LEFT_CM, PIXELS_PER_CM, TOP_CM, WIDTH
from likeness.evaluation.liveness.simulator.surfaces import Hits, Surface
from likeness.kit.arrays import FloatArray

LINEAR = (np.arange(256, dtype=np.float32) / 255) ** np.float32(2.2)
"""Linear light of each sRGB byte."""
_FINE, _COARSE = 2, 4
"""Camera pixels between two rays; the pixels between them are interpolated."""
_CLOSE = 14.0
"""Camera pixels per centimetre of an object. Above this, coarse rays are about a quarter of a centimetre apart."""
_SOFT = 2
"""Camera pixels for each pixel of an object out of focus."""
_REFERENCE_CM = 27.0
"""The distance that ``Lighting.screen`` refers to."""


@dataclass(frozen=True, slots=True)
class Pose:
    """The position of an object (camera axes, centimetres) and its rotation (degrees).

    Yaw > 0 turns the front to the image's right. Pitch > 0 turns it down. Roll > 0 leans clockwise in the image.
    """

    x: float = 0.0
    y: float = 0.0
    z: float = 50.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    def moved(self, *, z: float) -> "Pose":
        return replace(self, z=self.z + z)

    def propped(self, z: float, *, up: float) -> "Pose":
        """Return the pose of an object that is propped up at the distance ``z``, ``up`` centimetres above the middle.

        A fifth of its movement remains.
        """
        return replace(self, x=self.x * 0.2, y=self.y * 0.2 - up, z=z)

    def rotation(self) -> FloatArray:
        """Return the matrix from object axes to camera axes with z flipped towards the camera."""
        yaw, pitch, roll = np.radians((self.yaw, self.pitch, self.roll))
        turn = np.array(((np.cos(yaw), 0, np.sin(yaw)), (0, 1, 0), (-np.sin(yaw), 0, np.cos(yaw))))
        nod = np.array(((1, 0, 0), (0, np.cos(pitch), np.sin(pitch)), (0, -np.sin(pitch), np.cos(pitch))))
        lean = np.array(((np.cos(roll), -np.sin(roll), 0), (np.sin(roll), np.cos(roll), 0), (0, 0, 1)))
        return np.asarray(lean @ nod @ turn, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Lighting:
    """The light of the room and of the screen."""

    room_colour: FloatArray
    room_direction: FloatArray
    """Unit vector towards the room's main light, z towards the camera."""
    room_evenness: float
    """1 for light from everywhere, 0 for light from the main direction only."""
    screen: float
    """Light of a white screen on a surface that faces it at 27 cm; the room's light is 1."""
    screen_points: FloatArray
    """(n, 3) sources of the screen's light, in centimetres; x and y are camera axes, and z is 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One object.

    ``texture`` and ``alpha`` have a portrait's layout at any resolution. ``glow`` is emitted light per unit of texture.
    """

    surface: Surface
    texture: NDArray[np.uint8]
    pose: Pose
    alpha: NDArray[np.uint8] | None = None
    size: float = 1.0
    """1 is life size. A print or a display can show the face larger or smaller."""
    reflectance: float = 1.0
    glow: float = 0.0
    gloss_map: FloatArray | None = None
    """Fraction of the screen's light that a glossy surface mirrors, in the texture's layout."""
    reach_cm: float = 16.0
    """The object's largest extent from its pose. It bounds the work."""
    above_cm: float | None = None
    """The extent above its pose, if it is smaller. It is negative for an object below its pose."""
    soft: bool = False
    """Whether to paint it at half the resolution, like the background."""


def render(
    layers: tuple[Layer, ...],
    background: FloatArray,
    camera: Camera,
    lighting: Lighting,
    screen: FloatArray,
    *,
    rows: tuple[int, int] | None = None,
) -> FloatArray:
    """Paint ``layers`` over ``background`` in linear light (h, w, 3), first the soft ones, each kind in order.

    ``background`` is (h / 2, w / 2, 3) linear reflectance. ``screen`` is the screen's colour as linear RGB in 0..1; (0,
    0, 0) is dark. ``rows`` are the first camera row and the end of those that need the layers; all by default.
    """
    # The wall is about eight times farther away than the face, so it gets about a sixtieth of the screen's light.
    wall = lighting.room_colour + lighting.screen * screen / 60
    light = np.asarray(cv2.multiply(background, np.array((*wall, 0.0), np.float64)), np.float32)
    for layer in layers:
        if layer.soft:
            _paint(light, layer, camera, lighting, screen, grain=_SOFT, rows=rows)
    size = camera.optics.width, camera.optics.height
    light = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_LINEAR), np.float32)
    for layer in layers:
        if not layer.soft:
            _paint(light, layer, camera, lighting, screen, rows=rows)
    return light


def _paint(
    light: FloatArray,
    layer: Layer,
    camera: Camera,
    lighting: Lighting,
    screen: FloatArray,
    *,
    rows: tuple[int, int] | None,
    grain: int = 1,
) -> None:
    """Paint one layer. ``grain`` is the number of camera pixels for each pixel of ``light``, each way."""
    optics, pose = camera.optics, layer.pose
    step = _COARSE if grain > 1 or optics.focal_pixels / pose.z > _CLOSE else _FINE
    left, right, top, bottom = _bounds(layer, camera, step)
    if rows is not None:
        top, bottom = max(top, rows[0] // step), min(bottom, -(-rows[1] // step))
    if right - left < 2 or bottom - top < 2:
        return
    part = slice(top, bottom), slice(left, right)
    view_x, view_y = (axis[part] for axis in camera.rays(step))
    # Object axes have z towards the camera, so flip z and then undo the rotation.
    turn = pose.rotation()
    origin = np.array((-pose.x, -pose.y, pose.z), np.float32) @ turn
    ray = [turn[0, axis] * view_x + turn[1, axis] * view_y - turn[2, axis] for axis in range(3)]
    hits = layer.surface.meet(origin, ray[0], ray[1], ray[2])
    if not hits.hit.any():
        return
    (first, last), (near, far) = (np.flatnonzero(hits.hit.any(axis=axis))[[0, -1]] for axis in (1, 0))
    hits = hits.part((slice(first, last + 1), slice(near, far + 1)))
    top, bottom, left, right = top + first, top + last + 1, left + near, left + far + 1

    arriving = _light_on(hits, pose, turn, lighting, screen)
    times = step // grain
    size = (right - left) * times, (bottom - top) * times
    per_cm = np.float32(PIXELS_PER_CM * layer.texture.shape[1] / WIDTH)
    u, v = (
        (axis / np.float32(layer.size) + np.float32(start)) * per_cm
        for axis, start in ((hits.x, LEFT_CM), (hits.y, TOP_CM))
    )
    cover = hits.hit
    if layer.alpha is None:
        cover *= (u > 0) & (u < layer.texture.shape[1]) & (v > 0) & (v < layer.texture.shape[0])
    across, down = (cv2.resize(axis, size, interpolation=cv2.INTER_LINEAR) for axis in (u, v))
    texture = cv2.remap(layer.texture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    light_there = cv2.resize(arriving * np.float32(layer.reflectance), size, interpolation=cv2.INTER_LINEAR)
    seen = cv2.multiply(cv2.LUT(texture, LINEAR), light_there)
    if layer.glow:
        seen = seen + cv2.LUT(texture, LINEAR * np.float32(layer.glow))
    if layer.gloss_map is not None:
        mirrored = cv2.remap(layer.gloss_map, across, down, cv2.INTER_LINEAR)
        seen = seen + cv2.merge([mirrored * np.float32(lighting.screen * shade) for shade in screen])
    target = light[top * times : bottom * times, left * times : right * times]
    cover = np.asarray(cv2.resize(cover, size, interpolation=cv2.INTER_LINEAR), np.float32)
    if layer.alpha is not None:
        alpha = cv2.remap(layer.alpha, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cover = np.asarray(cv2.multiply(cover, alpha, scale=1 / 255, dtype=cv2.CV_32F), np.float32)
    target[:] = cv2.blendLinear(seen, np.ascontiguousarray(target), cover, 1 - cover)


def _bounds(layer: Layer, camera: Camera, step: int) -> tuple[int, int, int, int]:
    """Return the left, right, top and bottom of the area where a layer can be, in units of ``step`` camera pixels."""
    optics, pose = camera.optics, layer.pose
    scale = optics.focal_pixels / max(pose.z - layer.reach_cm * 0.6, 5.0)
    above = layer.reach_cm if layer.above_cm is None else layer.above_cm
    middle_x, middle_y = (
        size / 2 + offset / pose.z * optics.focal_pixels
        for size, offset in ((optics.width, pose.x), (optics.height, pose.y))
    )
    left, right, top, bottom = (
        int(np.clip(edge / step, 0, size // step))
        for edge, size in (
            (middle_x - layer.reach_cm * scale, optics.width),
            (middle_x + layer.reach_cm * scale, optics.width),
            (middle_y - above * scale, optics.height),
            (middle_y + layer.reach_cm * scale, optics.height),
        )
    )
    return left, right, top, bottom


def _light_on(hits: Hits, pose: Pose, turn: FloatArray, lighting: Lighting, screen: FloatArray) -> FloatArray:
    """Return the light that arrives at a surface, as (h, w, 3).

    Lambert's law applies to the room's light and to each source of the screen's light. The latter falls with the square
    of the distance.
    """
    towards = lighting.room_direction @ turn
    facing = np.maximum(hits.normal_x * towards[0] + hits.normal_y * towards[1] + hits.normal_z * towards[2], 0)
    room = lighting.room_evenness + (1 - lighting.room_evenness) * facing / max(float(lighting.room_direction[2]), 0.3)
    glare = np.zeros_like(room)
    if screen.any():
        for point in lighting.screen_points:
            spot = (point - np.array((pose.x, pose.y, -pose.z), np.float32)) @ turn
            dx, dy, dz = spot[0] - hits.x, spot[1] - hits.y, spot[2] - hits.z
            square = dx * dx + dy * dy + dz * dz
            cosine = (hits.normal_x * dx + hits.normal_y * dy + hits.normal_z * dz) / np.sqrt(square)
            glare += np.maximum(cosine, 0) * (_REFERENCE_CM**2 / square)
        glare *= lighting.screen / len(lighting.screen_points)
    lit = [room * lighting.room_colour[channel] + glare * screen[channel] for channel in range(3)]
    return np.asarray(cv2.merge(lit), np.float32)
