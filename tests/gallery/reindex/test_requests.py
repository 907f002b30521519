"""The requests that are possible in each state of a re-index, for named tenants and for all."""

from collections.abc import Iterator

import pytest

from likeness.deployment import Deployment, initialise, open_deployment
from likeness.engine.packs.identity import PackId, PackIdentity
from likeness.errors import Conflict, InvalidInput, NotFound
from likeness.gallery.reindex.repository import REQUESTS_IN, Reindex, ReindexRepository, ReindexRequest, ReindexState
from likeness.gallery.reindex.requests import NEXT_STEP, ReindexRequests, is_at_rest
from likeness.gallery.repository import GalleryPacks, GalleryRepository
from likeness.kit.ids import new_id
from likeness.tenants.service import Tenant
from servers import test_settings

EVERY_STEP = [(state, wish) for state in ReindexState for wish in ReindexRequest]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Give one deployment for all tests. Each test has its own tenants."""
    settings = test_settings(tmp_path_factory.mktemp("requests") / "data")
    initialise(settings)
    opened = open_deployment(settings)
    yield opened
    opened.close()


@pytest.fixture
def requests(deployment: Deployment) -> ReindexRequests:
    return ReindexRequests(deployment.database, deployment.clock)


def tenant(deployment: Deployment, name: str, *, pack: str | None = "fake@1") -> Tenant:
    made = deployment.tenants.create(f"{name} {new_id()}")
    if pack:
        deployment.database.write_now(
            lambda c: GalleryRepository(made.id).set_packs(c, GalleryPacks(PackIdentity(pack), None))
        )
    return made


def put(deployment: Deployment, owner: Tenant, state: ReindexState, pack: str = "fake-2@1") -> None:
    rows = ReindexRepository(owner.id)
    deployment.database.write_now(lambda c: rows.ask(c, PackId(pack), now=0))
    deployment.database.write_now(lambda c: rows.change(c, now=0, state=state, error="why"))


def present(deployment: Deployment, owner: Tenant) -> Reindex:
    found = deployment.database.read_now(ReindexRepository(owner.id).find)
    assert found
    return found


def test_every_gallery_that_answers_with_another_pack_is_asked(
    deployment: Deployment, requests: ReindexRequests
) -> None:
    old, there, empty = (
        tenant(deployment, "old"),
        tenant(deployment, "there", pack="fake-2@1"),
        tenant(deployment, "empty", pack=None),
    )
    assert requests.ask([old, there, empty], PackId("fake-2"), named=False) == [old]
    assert list(requests.find([old, there, empty])) == [old]
    assert (present(deployment, old).state, present(deployment, old).pack) == (ReindexState.WAITING, "fake-2")
    with pytest.raises(NotFound, match="No gallery is left"):
        requests.ask([there, empty], PackId("fake-2"), named=False)


@pytest.mark.parametrize(("pack", "message"), [("fake-2@1", "answers with fake-2@1"), (None, "is empty")])
def test_a_named_gallery_that_is_there_is_reported(
    deployment: Deployment, requests: ReindexRequests, pack: str | None, message: str
) -> None:
    with pytest.raises(Conflict, match=message):
        requests.ask([tenant(deployment, "acme", pack=pack)], PackId("fake-2"), named=True)


@pytest.mark.parametrize("state", [ReindexState.WAITING, ReindexState.FILLING, ReindexState.READY])
def test_to_ask_again_changes_nothing(deployment: Deployment, requests: ReindexRequests, state: ReindexState) -> None:
    acme = tenant(deployment, "acme")
    put(deployment, acme, state)
    before = present(deployment, acme)
    assert requests.ask([acme], PackId("fake-2"), named=True) == [acme]
    assert present(deployment, acme) == before
    with pytest.raises(Conflict, match="being moved to fake-2@1"):
        requests.ask([acme], PackId("fake-3"), named=False)


def test_what_failed_begins_anew_with_any_pack(deployment: Deployment, requests: ReindexRequests) -> None:
    acme = tenant(deployment, "acme")
    put(deployment, acme, ReindexState.FAILED)
    requests.ask([acme], PackId("fake-3"), named=True)
    again = present(deployment, acme)
    assert (again.state, again.pack, again.error) == (ReindexState.WAITING, "fake-3", None)


@pytest.mark.parametrize("state", [ReindexState.CUT_OVER, ReindexState.FINISHING])
def test_a_gallery_past_its_cut_over_is_passed_over_unless_named(
    deployment: Deployment, requests: ReindexRequests, state: ReindexState
) -> None:
    acme = tenant(deployment, "acme", pack="fake-2@1")
    put(deployment, acme, state)
    with pytest.raises(NotFound):
        requests.ask([acme], PackId("fake-2"), named=False)
    with pytest.raises(Conflict):
        requests.ask([acme], PackId("fake-2"), named=True)


@pytest.mark.parametrize(("state", "wish"), EVERY_STEP)
def test_a_step_is_taken_in_its_states_alone(
    deployment: Deployment, requests: ReindexRequests, state: ReindexState, wish: ReindexRequest
) -> None:
    acme = tenant(deployment, "acme")
    put(deployment, acme, state)
    if wish in REQUESTS_IN[state]:
        assert requests.wish([acme], wish, named=True) == [acme]
        assert (present(deployment, acme).wish, present(deployment, acme).error) == (wish, None)
    else:
        with pytest.raises(InvalidInput) as refused:
            requests.wish([acme], wish, named=True)
        assert NEXT_STEP[state] in str(refused.value)
        assert present(deployment, acme).wish is None


def test_of_all_galleries_those_that_are_there_are_passed_over(
    deployment: Deployment, requests: ReindexRequests
) -> None:
    ready, over, still = tenant(deployment, "ready"), tenant(deployment, "over"), tenant(deployment, "still")
    with pytest.raises(NotFound, match="No gallery is being moved"):
        requests.wish([ready, over, still], ReindexRequest.CUT_OVER, named=False)
    put(deployment, over, ReindexState.CUT_OVER)
    with pytest.raises(InvalidInput, match="this step already"):
        requests.wish([ready, over, still], ReindexRequest.CUT_OVER, named=False)
    put(deployment, ready, ReindexState.READY)
    assert requests.wish([ready, over, still], ReindexRequest.CUT_OVER, named=False) == [ready]
    assert present(deployment, over).wish is None


def test_where_one_cannot_nothing_is_asked_of_any(deployment: Deployment, requests: ReindexRequests) -> None:
    ready, filling = tenant(deployment, "ready"), tenant(deployment, "filling")
    put(deployment, ready, ReindexState.READY)
    put(deployment, filling, ReindexState.FILLING)
    with pytest.raises(InvalidInput, match=f"{filling.name!r} is filling"):
        requests.wish([ready, filling], ReindexRequest.CUT_OVER, named=False)
    assert present(deployment, ready).wish is None


@pytest.mark.parametrize("state", ReindexState)
def test_a_re_index_rests_where_only_the_operator_leads_on(state: ReindexState) -> None:
    reindex = Reindex("tenant", PackIdentity("fake-2@1"), state, None, 0, 0, None, None)
    assert is_at_rest(reindex) == (state in {ReindexState.READY, ReindexState.CUT_OVER, ReindexState.FAILED})
    assert not is_at_rest(Reindex("tenant", PackIdentity("fake-2@1"), state, ReindexRequest.ABANDON, 0, 0, None, None))
