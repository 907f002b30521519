import re
import uuid
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.kit.ids import is_uuid, new_id, new_object_id


def test_ids_have_their_forms() -> None:
    assert uuid.UUID(new_id()).version == 4
    assert re.fullmatch("[0-9a-f]{24}", new_object_id())
    assert len({new_id() for _ in range(100)} | {new_object_id() for _ in range(100)}) == 200


@given(st.uuids())
def test_a_uuid_is_one_in_any_letter_case(value: UUID) -> None:
    assert is_uuid(str(value))
    assert is_uuid(str(value).upper())


@pytest.mark.parametrize("text", ["", "x", "{%s}", "urn:uuid:%s", "%s0", "ä"])
def test_anything_else_is_not(text: str) -> None:
    assert not is_uuid(text.replace("%s", str(uuid.uuid4())))


def test_a_uuid_without_its_dashes_is_not() -> None:
    assert not is_uuid(uuid.uuid4().hex)
