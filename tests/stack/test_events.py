"""Events on every engine: one session has one fingerprint, however exactly its engine keeps times."""

import pytest

from fastapi_sessionkit import SessionStore
from tests.events.support import told
from tests.reasons.support import site_of
from tests.support import Clock

pytestmark = pytest.mark.anyio


async def test_the_fingerprint_is_one_sessions_on_every_engine(store: SessionStore, clock: Clock) -> None:
    async with site_of(store, clock) as site:
        events = told(site.kit)
        for part in (0.1234564999, 0.1234565, 0.9999999, 0.0000004):
            clock.advance(1 + part)
            events.clear()
            token = await site.token("/rotate", await site.token())
            await site.kit.sessions.update_user("ada", note="seen")
            await site.send("/out", token)

            assert [event.name for event in events] == ["signed_in", "rotated", "updated", "signed_out"]
            assert len({event.fingerprint for event in events}) == 1
            assert {event.user_id for event in events} == {"ada"}
