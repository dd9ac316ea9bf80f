"""A session that changes faster than one change of it can be saved: 503 after a hundred attempts, and nothing is lost."""

from typing import Any

import pytest

from fastapi_sessionkit import MemoryStore, SessionRecord, StoreUnavailable
from fastapi_sessionkit.testing import session_of
from tests.backends.support import browser, browser_with, make
from tests.support import ADA, COOKIE, Clock, RecordingStore

pytestmark = pytest.mark.anyio

ELSEWHERE = "0" * 63 + "1"
"""The key of a session that another server has begun; it comes before any other."""


class Contended(RecordingStore):
    """Somebody else is always faster.

    Attributes:
        wins: how many compare-and-sets are lost before one is won.
        arrives: whether a session that ends is followed by another.
        arrives_at_sign_in: whether a session that begins is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wins = 0
        self.arrives = False
        self.arrives_at_sign_in = False

    async def create(self, key: str, record: SessionRecord) -> bool:
        done = await super().create(key, record)
        if self.arrives_at_sign_in:
            self.wins = 1_000_000
            await MemoryStore.create(self, ELSEWHERE, record)
        return done

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        if self.wins:
            self.wins -= 1
            self.calls.append("replace")
            return False
        return await super().replace(key, record, version=version)

    async def delete_user(self, user_id: str, **keep: Any) -> int:
        ended = await super().delete_user(user_id, **keep)
        if self.arrives and self.records:
            await MemoryStore.create(self, ELSEWHERE, self.records[0])
        return ended

    @property
    def records(self) -> list[SessionRecord]:
        """What was ever kept."""
        return [given[1] for given in self.arguments if len(given) > 1]


@pytest.fixture
def contended() -> Contended:
    return Contended()


@pytest.mark.parametrize("path", ["/set/note", "/rotate", "/promote", "/out"])
async def test_a_change_that_never_gets_its_turn_is_503_and_keeps_the_cookie(
    contended: Contended, clock: Clock, path: str
) -> None:
    kit = make(contended, clock)
    client = browser(kit)
    contended.wins = 1_000_000

    answer = client.post(path)

    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers
    assert session_of(client, kit) == ADA
    assert len(await contended.list_user("ada")) == 1


@pytest.mark.parametrize("path", ["/set/note", "/rotate", "/promote", "/out"])
async def test_a_change_that_gets_its_turn_at_the_hundredth_attempt_is_saved(
    contended: Contended, clock: Clock, path: str
) -> None:
    kit = make(contended, clock)
    client = browser(kit)
    old = client.cookies[COOKIE]
    contended.wins = 99

    assert client.post(path).status_code == 200
    assert len(await contended.list_user("ada")) == (path != "/out")
    late = browser_with(kit, old).get("/").json()
    assert (late is None) is (path == "/out")


async def test_a_sign_in_that_can_not_end_the_session_before_it_leaves_none(contended: Contended, clock: Clock) -> None:
    kit = make(contended, clock)
    client = browser(kit)
    contended.wins = 1_000_000

    answer = client.post("/in/as-grace")

    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers
    assert session_of(client, kit) == ADA
    assert await contended.list_user("grace") == []  # nobody has its id


async def test_a_sign_in_that_can_not_end_the_oldest_session_leaves_none(contended: Contended, clock: Clock) -> None:
    """Another server's sign-in came between, so that there is one too many after all."""
    kit = make(contended, clock, max_sessions_per_user=1)
    contended.arrives_at_sign_in = True

    answer = browser(kit, None).post("/in")

    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers
    assert [key for key, _ in await contended.list_user("ada")] == [ELSEWHERE]


async def test_ending_a_users_sessions_while_ever_more_appear_is_unavailable(
    contended: Contended, clock: Clock
) -> None:
    """``revoke_user`` never says that all have ended while one is there."""
    kit = make(contended, clock)
    browser(kit)
    contended.arrives = True

    with pytest.raises(StoreUnavailable):
        await kit.sessions.revoke_user("ada")


async def test_a_session_that_appears_while_a_users_sessions_end_is_counted(clock: Clock) -> None:
    class Once(Contended):
        async def delete_user(self, user_id: str, **keep: Any) -> int:
            ended = await super().delete_user(user_id, **keep)
            self.arrives = False
            return ended

    store = Once()
    kit = make(store, clock)
    browser(kit)
    browser(kit)
    kept = (await store.list_user("ada"))[0][0]
    store.arrives = True

    assert await kit.services.backend.end_user("ada", keep=[kept]) == 2  # type: ignore[attr-defined]
    assert [key for key, _ in await store.list_user("ada")] == [kept]
