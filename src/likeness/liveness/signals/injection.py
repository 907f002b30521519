"""The injection signal: hints that the frames do not come from a camera, or not from the page.

A careful attacker can avoid each hint. But the checks are cheap and detect simple attacks. Each hint is a module of
``signals.hints``. docs/liveness.md says which attacks each detects, and which none does.
"""

from dataclasses import dataclass, field

from likeness.liveness.base import DeclaredCamera, Frame, SignalName, SignalResult
from likeness.liveness.signals.hints.answers import AnswerWatch
from likeness.liveness.signals.hints.base import HintWatch, InjectionHint
from likeness.liveness.signals.hints.camera import CameraRules
from likeness.liveness.signals.hints.clocks import ClockWatch
from likeness.liveness.signals.hints.compression import CompressionWatch
from likeness.liveness.signals.hints.pictures import PictureWatch
from likeness.liveness.signals.hints.signature import SignatureWatch


@dataclass(slots=True)
class InjectionWatch:
    """A watch over all frames of an attempt at their arrival."""

    camera: DeclaredCamera
    _watches: tuple[HintWatch, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._watches = (
            CameraRules(self.camera),
            PictureWatch(),
            ClockWatch(),
            AnswerWatch(),
            CompressionWatch(),
            SignatureWatch(),
        )

    def see(self, frame: Frame, *, newest_flash_index: int | None) -> None:
        """Take a frame. ``newest_flash_index`` is the last colour that was sent to the page so far."""
        for watch in self._watches:
            watch.see(frame, newest_flash_index)

    def hints(self) -> tuple[InjectionHint, ...]:
        """Return the hints of injection in the order of :class:`InjectionHint`."""
        found = {hint for watch in self._watches for hint, present in watch.found().items() if present}
        return tuple(hint for hint in InjectionHint if hint in found)


def judge(watch: InjectionWatch) -> SignalResult:
    """Judge the injection signal. The score is 1 without any hint and 0 with one."""
    hints = watch.hints()
    reason = "; ".join(hint.reason for hint in hints) or "there is no sign of injected frames"
    return SignalResult(
        SignalName.INJECTION,
        float(not hints),
        1.0,
        passed=not hints,
        reason=reason,
        codes=tuple(hint.value for hint in hints),
    )
