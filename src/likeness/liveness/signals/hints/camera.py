"""What the browser says about the camera: its name, its kind, its settings, and whether the call for it is genuine."""

from dataclasses import dataclass

from likeness.liveness.base import DeclaredCamera, Frame
from likeness.liveness.signals.hints.base import InjectionHint

VIRTUAL_CAMERAS = (
    "obs virtual",
    "obs-camera",
    "manycam",
    "xsplit vcam",
    "splitcam",
    "snap camera",
    "webcamoid",
    "e2esoft",
    "vcam",
    "camtwist",
    "sparkocam",
    "altercam",
    "chromacam",
    "unity video capture",
    "v4l2loopback",
    "dummy video device",
    "virtual camera",
    "virtual webcam",
    "deepfacelive",
    "akvcam",
    "fake_device",
)
"""Parts of the names of virtual cameras, in lower case."""
VIDEO_FILES = (".mjpeg", ".mjpg", ".y4m", ".mp4", ".webm")
"""Ends of the name that Chromium gives to a video file in place of a camera."""
CAMERA_TRACK = "MediaStreamTrack"
"""The class of a camera's track. A canvas, a screen and a program's own pictures have others."""
FASTEST_CAMERA = 240.0


@dataclass(slots=True)
class CameraRules:
    """Rules on the browser's statements. A statement that is missing breaks none."""

    camera: DeclaredCamera

    def see(self, frame: Frame, newest_flash_index: int | None) -> None:
        """Take a frame. The rules do not need any."""

    def found(self) -> dict[InjectionHint, bool]:
        camera, label = self.camera, (self.camera.label or "").lower()
        virtual = any(name in label for name in VIRTUAL_CAMERAS) or label.endswith(VIDEO_FILES)
        return {
            InjectionHint.VIRTUAL_CAMERA: virtual,
            InjectionHint.NOT_A_CAMERA: camera.track not in {None, CAMERA_TRACK} or camera.listed is False,
            InjectionHint.IMPOSSIBLE_SETTINGS: _exceeds(camera.width, camera.most_width)
            or _exceeds(camera.height, camera.most_height)
            or _exceeds(camera.frames_per_second, camera.most_frames_per_second)
            or _exceeds(camera.frames_per_second, FASTEST_CAMERA),
            InjectionHint.CAMERA_CALL_REPLACED: camera.native is False,
        }


def _exceeds(value: float | None, most: float | None) -> bool:
    return value is not None and most is not None and value > 1.02 * most
