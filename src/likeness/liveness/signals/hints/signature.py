"""The frames' signatures: the page signs each with a key that it told at the beginning, and that it cannot export.

So frames that are exchanged between the page and the server are noticed. The signature does not prove that the page
itself is genuine.
"""

from dataclasses import dataclass

from likeness.liveness.base import Frame
from likeness.liveness.signals.hints.base import InjectionHint


@dataclass(slots=True)
class SignatureWatch:
    """A watch over the frames' signatures. Where nobody looked for signatures, there is no hint."""

    _unsigned: int = 0

    def see(self, frame: Frame, newest_flash_index: int | None) -> None:
        del newest_flash_index
        self._unsigned += frame.signed is False

    def found(self) -> dict[InjectionHint, bool]:
        return {InjectionHint.UNSIGNED_FRAMES: self._unsigned > 0}
