import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.access.secrets import ClientSecrets
from likeness.kit.ids import new_id

OURS, THEIRS = ClientSecrets(b"o" * 32), ClientSecrets(b"t" * 32)
anything = st.text(st.characters())


def test_a_secret_is_known_by_its_mark_and_its_fingerprint() -> None:
    client_id = new_id()
    secret, other = OURS.new(client_id), OURS.new(client_id)
    assert len(base64.urlsafe_b64decode(secret)) == 48
    assert OURS.was_given(client_id, secret)
    assert OURS.was_given(client_id, other)
    assert OURS.holds(client_id, secret, OURS.fingerprint(client_id, secret))
    assert not OURS.holds(client_id, other, OURS.fingerprint(client_id, secret))
    assert secret not in OURS.fingerprint(client_id, secret)


def test_a_secret_is_good_for_its_client_and_its_deployment_alone() -> None:
    client_id, other = new_id(), new_id()
    secret = OURS.new(client_id)
    assert not OURS.was_given(other, secret)
    assert not OURS.was_given(client_id.upper(), secret)
    assert not THEIRS.was_given(client_id, secret)
    assert (
        OURS.fingerprint(other, secret) != OURS.fingerprint(client_id, secret) != THEIRS.fingerprint(client_id, secret)
    )


@given(anything, anything | st.binary(max_size=60).map(lambda content: base64.urlsafe_b64encode(content).decode()))
def test_what_was_made_up_was_never_given(client_id: str, secret: str) -> None:
    assert not OURS.was_given(client_id, secret)


@pytest.mark.parametrize("place", range(64))
def test_a_changed_letter_makes_it_another(place: int) -> None:
    client_id = new_id()
    secret = OURS.new(client_id)
    changed = secret[:place] + ("A" if secret[place] != "A" else "B") + secret[place + 1 :]
    assert not OURS.was_given(client_id, changed)


@given(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
def test_no_two_credentials_share_a_fingerprint(client_id: str, secret: str, other_id: str, other_secret: str) -> None:
    if (client_id, secret) != (other_id, other_secret):
        assert OURS.fingerprint(client_id, secret) != OURS.fingerprint(other_id, other_secret)
