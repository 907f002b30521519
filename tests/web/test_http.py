"""The common parts of endpoints."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from likeness.errors import BadRequest, LikenessError
from likeness.web.http import handle_likeness_error


def test_a_refusal_does_not_keep_what_was_refused() -> None:
    """An error's traceback would keep the body and the photos."""
    request = cast("Any", SimpleNamespace(state=SimpleNamespace(request_id="a")))

    def refuse() -> None:
        try:
            bytes.fromhex("no")
        except ValueError as error:
            raise BadRequest("It cannot be read.") from error

    with pytest.raises(LikenessError) as raised:
        refuse()
    refusal = raised.value
    assert refusal.__traceback__
    assert asyncio.run(handle_likeness_error(request, refusal)).status_code == 400
    assert not any((refusal.__traceback__, refusal.__cause__, refusal.__context__))
