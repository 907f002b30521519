"""The way from a frame's bytes to an instruction."""

from likeness.engine.base import Engine
from likeness.engine.photo import decoding as photos
from likeness.errors import InvalidInput, LikenessError
from likeness.liveness.base import Frame, Instruction, LivenessCheck
from likeness.sessions.capture.messages import FrameHeader
from likeness.sessions.capture.signing import FrameSigner

FRAME_LONG_SIDE = 640
"""The frames' longer side that the server asks browsers for, in pixels."""
LONGEST_SIDE, SHORTEST_SIDE = 1280, 240


def judge_frame(
    engine: Engine, check: LivenessCheck, header: FrameHeader, jpeg: bytes, received_at: float, signer: FrameSigner
) -> Instruction:
    """Decode a frame, and give the check's instruction. Blocks. Raises InvalidInput."""
    try:
        described = photos.read_header(jpeg)
        sides = sorted((described.width, described.height))
        if described.format != "JPEG" or sides[0] < SHORTEST_SIDE or sides[1] > LONGEST_SIDE:
            raise InvalidInput(f"A frame is a JPEG with sides of {SHORTEST_SIDE} to {LONGEST_SIDE} pixels.")
        image = engine.decode(jpeg)
    except LikenessError as error:
        raise InvalidInput(error.message) from error
    frame = Frame(
        image=image,
        received_at_seconds=received_at,
        data=jpeg,
        client_at_seconds=None if header.t is None else header.t / 1000,
        flash_index=header.flash,
        camera_at_seconds=None if header.media is None else header.media / 1000,
        camera_frame=header.number,
        signed=signer.has_signed(jpeg, header.signature),
    )
    return check.observe(frame)
