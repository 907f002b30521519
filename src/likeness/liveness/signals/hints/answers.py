"""The browser's statements of the colour on its screen: too early, or too fast."""

from dataclasses import dataclass

from likeness.liveness.base import Frame
from likeness.liveness.signals.hints.base import InjectionHint

FASTEST_ANSWER_SECONDS = 0.008
"""Shortest time from the frame that made the server send a colour to a frame that reports it. A screen of 120 pictures
a second needs as long for one picture, and the page waits for two."""
MOST_FAST_ANSWERS = 2


@dataclass(slots=True)
class AnswerWatch:
    """A watch over the colours that the browser reports."""

    _early: int = 0
    _fast: int = 0
    _newest: int | None = None
    _sent_at: float = 0.0
    _reported: int = -1
    _last_at: float = 0.0

    def see(self, frame: Frame, newest_flash_index: int | None) -> None:
        if newest_flash_index != self._newest:
            self._newest, self._sent_at = newest_flash_index, self._last_at
        self._last_at = frame.received_at_seconds
        reported = frame.flash_index
        if reported is None:
            return
        self._early += reported > (-1 if newest_flash_index is None else newest_flash_index)
        if reported == newest_flash_index and reported > self._reported:
            self._fast += frame.received_at_seconds - self._sent_at < FASTEST_ANSWER_SECONDS
        self._reported = max(self._reported, reported)

    def found(self) -> dict[InjectionHint, bool]:
        return {
            InjectionHint.EARLY_ANSWER: self._early > 0,
            InjectionHint.IMPOSSIBLE_ANSWER: self._fast > MOST_FAST_ANSWERS,
        }
