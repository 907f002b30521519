import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from likeness.liveness.attempt.director import Director
from likeness.liveness.attempt.script import (
    ChallengeScript,
    Flash,
    Hold,
    LivenessMode,
    Move,
    Side,
    Tilt,
    Turn,
    draw_colours,
)
from likeness.liveness.base import DeclaredCamera, Frame, Hint, SignalName, SignalResult, StatusCode, Verdict
from likeness.liveness.frame.observation import FaceView, Observation, guide
from likeness.liveness.thresholds import THRESHOLDS
from liveness.observations import FAR, NEAR, Walk, face, seen
from scraped import counting

PACE = THRESHOLDS.timing
TEMPLATE = np.array([1.0, 0.0], np.float32)


def flash_step() -> Flash:
    return Flash(draw_colours(random.Random(1)), draw_colours(random.Random(2)))


def walk(*steps: Any, mode: LivenessMode = LivenessMode.ACTIVE, label: str | None = None) -> Walk:
    script = ChallengeScript(mode, flash=any(isinstance(step, Flash) for step in steps), steps=(Hold(), *steps))
    return Walk(Director(script, THRESHOLDS, identity_threshold=0.5, camera=DeclaredCamera(label)))


def settled(*steps: Any, **how: Any) -> Walk:
    """Return a walk after its hold."""
    going = walk(*steps, **how)
    while going.director.step_index == 0:
        going.show(face())
    return going


def signal(verdict: Verdict | None, name: SignalName) -> SignalResult:
    assert verdict
    return next(one for one in verdict.signals if one.name is name)


@pytest.mark.parametrize(
    ("view", "faces", "outcome"),
    [
        (None, 0, (StatusCode.FACE_NOT_DETECTED, None)),
        (face(), 2, (StatusCode.FACE_MULTIPLE_FACES_DETECTED, None)),
        (face(0.8 * FAR), 1, (StatusCode.FACE_INCORRECT_DISTANCE_DETECTED, Hint.CLOSER)),
        (face(1.3 * FAR), 1, (StatusCode.FACE_INCORRECT_DISTANCE_DETECTED, Hint.FARTHER)),
        (face(x=380.0), 1, (StatusCode.FACE_INCORRECT_POSITION_DETECTED, Hint.RIGHT)),
        (face(x=260.0), 1, (StatusCode.FACE_INCORRECT_POSITION_DETECTED, Hint.LEFT)),
        (face(y=300.0), 1, (StatusCode.FACE_INCORRECT_POSITION_DETECTED, Hint.UP)),
        (face(y=180.0), 1, (StatusCode.FACE_INCORRECT_POSITION_DETECTED, Hint.DOWN)),
        (face(0.5 * FAR, x=380.0), 1, (StatusCode.FACE_INCORRECT_POSITION_DETECTED, Hint.RIGHT)),
        (face(0.5 * FAR, x=380.0, brightness=20.0), 1, (StatusCode.FACE_DARK_ENVIRONMENT_DETECTED, None)),
        (face(brightness=20.0), 1, (StatusCode.FACE_DARK_ENVIRONMENT_DETECTED, None)),
        (face(brightness=250.0), 1, (StatusCode.FACE_BRIGHT_ENVIRONMENT_DETECTED, None)),
        (face(yaw=0.3), 1, (StatusCode.FACE_INCORRECT_POSE_DETECTED, Hint.LOOK_STRAIGHT)),
        (face(pitch=0.1), 1, (StatusCode.FACE_INCORRECT_POSE_DETECTED, Hint.LOOK_STRAIGHT)),
        (face(roll=-20.0), 1, (StatusCode.FACE_INCORRECT_POSE_DETECTED, Hint.LOOK_STRAIGHT)),
        (face(sharpness=0.5), 1, (StatusCode.FACE_BLUR_DETECTED, None)),
        (face(sharpness=1.9), 1, (StatusCode.FACE_BLUR_DETECTED, None)),
        (face(sharpness=1.9, brightness=200.0), 1, (StatusCode.FACE_BLUR_DETECTED, None)),
        (face(sharpness=1.2, brightness=60.0), 1, None),
        (face(sharpness=1.0, brightness=60.0), 1, (StatusCode.FACE_BLUR_DETECTED, None)),
        (face(), 1, None),
    ],
)
def test_guidance_names_what_is_wrong(
    view: FaceView | None, faces: int, outcome: tuple[StatusCode, None] | tuple[StatusCode, Hint] | None
) -> None:
    limits = THRESHOLDS.guidance
    assert guide(seen(1.0, view, faces=faces), limits.far_scale, limits) == outcome


@pytest.mark.parametrize(
    ("brightness", "status"),
    [
        (5, StatusCode.FACE_DARK_ENVIRONMENT_DETECTED),
        (120, StatusCode.FACE_NOT_DETECTED),
        (250, StatusCode.FACE_BRIGHT_ENVIRONMENT_DETECTED),
    ],
)
def test_who_is_not_seen_is_warned_of_the_light(brightness: int, status: StatusCode) -> None:
    limits = THRESHOLDS.guidance
    frame = Frame(np.full((48, 64, 3), brightness, np.uint8), 1.0, b"")
    assert guide(Observation(frame, 0, None), limits.far_scale, limits) == (status, None)


def test_who_stands_well_may_move_a_little() -> None:
    limits = THRESHOLDS.guidance
    edge = seen(1.0, face(1.17 * FAR))
    assert guide(edge, limits.far_scale, limits) is not None
    assert guide(edge, limits.far_scale, limits, tolerance=limits.tolerance) is None


def test_guidance_fails_nobody() -> None:
    going = walk(mode=LivenessMode.PASSIVE)
    for view in (None, face(0.5 * FAR), face(yaw=0.4), face(brightness=10.0), face(sharpness=0.1)):
        going.show(view, frames=10)
    assert going.instructions[-1].verdict is None


def test_holding_still_takes_frames_and_time() -> None:
    going = walk(Move())
    going.show(face(), frames=4)
    assert going.director.step_index == 0
    going.show(face(), frames=3)
    assert going.director.step_index == 1


def test_a_bad_frame_begins_the_hold_anew() -> None:
    going = walk(Move())
    going.show(face(), frames=4)
    going.show(None)
    going.show(face(), frames=4)
    assert going.director.step_index == 0


def test_progress_never_falls_and_ends_at_one() -> None:
    going = settled(Move(), flash_step())
    going.show(face(), frames=6)
    going.show(None, frames=3)
    going.approach()
    going.show(face(NEAR), frames=80)
    shares = [one.progress for one in going.instructions]
    assert all(before <= after for before, after in pairwise(shares))
    assert going.instructions[-1].verdict is not None
    assert shares[-1] == 1.0


def test_the_way_through_an_active_attempt() -> None:
    going = settled(Move(), flash_step())
    going.show(face(), frames=6)
    going.approach()
    going.show(face(NEAR), frames=80)
    assert going.codes == [
        StatusCode.FACE_LIVENESS_HOLD_STILL,
        StatusCode.FACE_LIVENESS_MOVE_CLOSER,
        StatusCode.FACE_LIVENESS_HOLD_STILL,
        StatusCode.FACE_LIVENESS_WATCH_COLOURS,
        StatusCode.FACE_LIVENESS_HOLD_STILL,
        StatusCode.FACE_LIVENESS_FAILED,
    ]
    verdict = going.instructions[-1].verdict
    assert signal(verdict, SignalName.CHALLENGE).passed
    names = [one.name for one in verdict.signals]
    assert names == [
        SignalName.CHALLENGE,
        SignalName.PARALLAX,
        SignalName.FLASH,
        SignalName.SHADING,
        SignalName.IDENTITY,
        SignalName.INJECTION,
    ]


def test_the_oval_grows_when_closer_is_wanted() -> None:
    going = settled(Move())
    far = going.instructions[-1].oval
    near = going.show(face(), frames=6).oval
    assert near.width > 2 * far.width
    assert (near.centre_x, near.centre_y) == (320.0, 240.0)


def test_colours_are_sent_with_their_numbers_and_for_their_time() -> None:
    step = flash_step()
    going = settled(Move(), step)
    going.show(face(), frames=6)
    going.approach()
    going.show(face(NEAR), frames=120, every=0.05)
    shown = [(one.flash_index, one.colour) for one in going.instructions if one.colour]
    order = list(dict.fromkeys(shown))
    assert order == list(enumerate(flash.colour for flash in step.colours))
    for (index, _), flash in zip(order, step.colours, strict=True):
        lasted = 0.05 * sum(number == index for number, _ in shown)
        assert lasted == pytest.approx(flash.duration_seconds, abs=0.11)


def test_losing_the_face_in_the_colours_shows_others() -> None:
    step = flash_step()
    going = settled(Move(), step)
    going.show(face(), frames=6)
    going.approach()
    going.show(face(NEAR), frames=10)
    going.show(None, frames=10)
    going.show(face(NEAR), frames=80)
    order = list(dict.fromkeys((one.flash_index, one.colour) for one in going.instructions if one.colour))
    spare = [(len(step.colours) + index, flash.colour) for index, flash in enumerate(step.spare)]
    assert order[-len(spare) :] == spare
    assert signal(going.instructions[-1].verdict, SignalName.CHALLENGE).passed


def test_losing_it_twice_fails() -> None:
    going = settled(Move(), flash_step())
    going.show(face(), frames=6)
    going.approach()
    for _ in range(2):
        going.show(face(NEAR), frames=8)
        going.show(None, frames=10)
    going.show(face(NEAR), frames=10)
    result = signal(going.instructions[-1].verdict, SignalName.CHALLENGE)
    assert (result.passed, result.reason) == (False, "the face left while the colours were shown")


@pytest.mark.parametrize(
    ("seconds", "fault"), [(0.1, "the face came closer faster than a person can"), (1.0, None)], ids=["leap", "walk"]
)
def test_nobody_leaps(seconds: float, fault: str | None) -> None:
    going = settled(Move())
    going.show(face(), frames=6)
    going.approach(seconds=seconds)
    going.show(face(NEAR), frames=10)
    assert going.director.evidence.faults == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("seconds", "fault"),
    [(0.05, "the face came closer faster than a person can"), (0.3, None)],
    ids=["leap", "quick walk"],
)
def test_a_fast_camera_makes_nobody_faster(seconds: float, fault: str | None) -> None:
    going = settled(Move())
    going.pace = 1 / 30
    going.show(face(), frames=15)
    going.approach(seconds=seconds)
    going.show(face(NEAR), frames=30)
    assert going.director.evidence.faults == ([fault] if fault else [])


def test_the_way_must_be_seen() -> None:
    going = settled(Move())
    going.show(face(), frames=6)
    going.show(face(0.62 * NEAR))
    going.show(face(NEAR), frames=10)
    assert going.director.evidence.faults


@pytest.mark.parametrize(
    ("step", "made", "wrong"),
    [
        (Turn(Side.LEFT), {"yaw": 0.3}, {"yaw": -0.3}),
        (Turn(Side.RIGHT), {"yaw": -0.3}, {"yaw": 0.3}),
        (Tilt(Side.LEFT), {"roll": 20.0}, {"roll": -20.0}),
        (Tilt(Side.RIGHT), {"roll": -20.0}, {"roll": 20.0}),
    ],
)
def test_gestures_count_to_their_side(step: Tilt | Turn, made: dict[str, float], wrong: dict[str, float]) -> None:
    going = settled(step)
    instruction = going.show(face(), frames=4)
    kind = type(step).__name__.upper()
    assert instruction.status_code == f"FACE_LIVENESS_{kind}_{step.side.upper()}"
    going.show(face(**wrong), frames=4)
    assert (going.director.step_index, going.director.evidence.mistakes) == (1, 1)
    going.show(face(), frames=3)
    going.show(face(**made), frames=4)
    assert going.director.step_index == 2
    assert not going.director.evidence.faults


def test_a_gesture_made_before_it_was_asked_for_is_a_fault() -> None:
    going = settled(Turn(Side.LEFT))
    going.show(face(), frames=3)
    going.show(face(yaw=0.3), frames=4, every=0.05)
    assert going.director.evidence.faults == ["the head moved before it was asked to"]


def test_a_gesture_waits_for_the_face() -> None:
    going = settled(Turn(Side.LEFT))
    going.show(face(), frames=4)
    assert going.show(None).status_code is StatusCode.FACE_NOT_DETECTED
    assert going.show(face(), faces=2).status_code is StatusCode.FACE_MULTIPLE_FACES_DETECTED


@pytest.mark.parametrize(
    ("passing", "what"),
    [(PACE.idle_seconds + 1, "idle"), (PACE.idle_seconds - 1, None)],
)
def test_silence_ends_an_attempt(passing: float, what: str | None) -> None:
    going = settled(Move())
    verdict = going.director.tick(going.now + passing).verdict
    assert (verdict is not None) == (what == "idle")
    if verdict:
        assert verdict.status_code is StatusCode.FACE_TIMEOUT
        assert not verdict.live


def test_a_step_that_is_not_done_ends_an_attempt() -> None:
    going = settled(Move())
    instruction = going.show(face(), frames=400)
    assert instruction.verdict.status_code is StatusCode.FACE_TIMEOUT
    assert signal(instruction.verdict, SignalName.CHALLENGE).reason == "1 of 2 steps were done in time"


def test_a_first_tick_starts_the_clock() -> None:
    going = walk(Move())
    assert going.director.tick(10.0).verdict is None
    assert going.director.tick(10.0 + PACE.idle_seconds + 1).verdict is not None


def test_after_the_end_nothing_changes() -> None:
    going = settled(Move())
    going.director.tick(going.now + 60)
    end = going.director.verdict
    assert going.show(face()).verdict is end
    assert going.director.tick(going.now + 90).verdict is end


def test_identity_is_looked_at_as_a_step_begins_and_again_at_the_end() -> None:
    going = settled(Move(), flash_step())
    going.show(face(), frames=6)
    going.approach()
    going.show(face(NEAR), frames=80)
    assert going.instructions[-1].verdict is not None
    assert {look.step_index for look in going.looks} == {0, 1, 2, 3}
    assert {look.lit_by_flash for look in going.looks if look.step_index == 2} == {False, True}
    assert going.looks[-1].seen.at_seconds == going.now, "the last frame of all is looked at"
    assert going.director.choose_samples(seen(going.now + 0.1, face(NEAR))) == ()


def test_a_passive_attempt_rests_on_its_models() -> None:
    going = settled(mode=LivenessMode.PASSIVE)
    going.director.evidence.templates += [TEMPLATE, TEMPLATE]
    verdict = going.show(face(), frames=10).verdict
    assert [one.name for one in verdict.signals] == [
        SignalName.CHALLENGE,
        SignalName.IDENTITY,
        SignalName.PASSIVE,
        SignalName.INJECTION,
    ]
    assert verdict.failed == (SignalName.PASSIVE,)
    assert not verdict.live


def test_the_verdict_as_it_is_signed() -> None:
    going = settled(mode=LivenessMode.PASSIVE)
    member = going.show(face(), frames=10).verdict.as_json()
    assert set(member) == {"live", "mode", "flash", "thresholds", "signals"}
    assert member["thresholds"] == "built-in"
    assert all(
        set(one) == {"name", "score", "threshold", "passed", "required", "reason", "codes"} for one in member["signals"]
    )


def test_the_page_gets_no_scores() -> None:
    message = settled(Move()).instructions[-1].as_json()
    assert set(message) == {
        "statusCode",
        "progress",
        "step",
        "steps",
        "oval",
        "hint",
        "colour",
        "flashIndex",
        "done",
    }


def test_the_same_observations_give_the_same_instructions() -> None:
    def run() -> list[dict[str, Any]]:
        going = settled(Move(), flash_step())
        going.show(face(), frames=6)
        going.approach()
        going.show(face(NEAR), frames=60)
        return [one.as_json() for one in going.instructions]

    assert run() == run()


def test_a_check_counts_by_the_step_at_which_it_ends() -> None:
    checks = "likeness_liveness_checks_total,outcome=FACE_TIMEOUT,step"
    with counting() as risen:
        for going in (walk(Move()), settled(Turn(Side.LEFT)), settled(flash_step())):
            going.director.tick(going.now)
            going.director.tick(going.now + 1000)
    assert {name: count for name, count in risen.items() if name.startswith(checks)} == {
        f"{checks}={step}": 1 for step in ("hold", "turn", "flash")
    }
