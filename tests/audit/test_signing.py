"""Signed statements."""

import pytest

from likeness.audit.signing import ANCHOR, SEAL, StatementSigner
from likeness.errors import SetupError

SIGNER = StatementSigner(bytes(32))
JWS = SIGNER.sign(SEAL, {"number": 1})


def test_a_statement_opens_as_what_it_is() -> None:
    assert SIGNER.open(SEAL, JWS) == {"number": 1}
    with pytest.raises(SetupError):
        SIGNER.open(ANCHOR, JWS)


@pytest.mark.parametrize(
    "text", ["", "a.b.c", "é.b.c", JWS[:-4], JWS.replace(".", ".A", 1), f"{JWS}.x", JWS.split(".", 1)[1]]
)
def test_another_text_does_not_open(text: str) -> None:
    with pytest.raises(SetupError, match="does not verify"):
        SIGNER.open(SEAL, text)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SetupError):
        StatementSigner(bytes(31) + b"1").open(SEAL, JWS)
