"""Why nobody is signed in, on every engine."""

from collections.abc import AsyncIterator

import pytest

from fastapi_sessionkit import SessionStore
from tests.reasons.support import GRACE, IDLE, Site, site_of
from tests.support import Clock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(store: SessionStore, clock: Clock) -> AsyncIterator[Site]:
    async with site_of(store, clock) as site:
        yield site


async def test_every_reason_that_a_store_can_have(site: Site, clock: Clock) -> None:
    token = await site.token()

    assert await site.reason(token) is None
    assert await site.reason() == "no_cookie"
    assert await site.reason(token[:-1]) == "malformed"
    assert await site.reason("A" + token) == "bad_signature"
    assert await site.reason(token, await site.token()) == "ambiguous_cookie"
    new = await site.token("/rotate", token)
    clock.advance(GRACE)
    assert await site.reason(token) == "superseded"
    await site.send("/out", new)
    assert await site.reason(new) == "ended"
    left = await site.token()
    clock.advance(IDLE)
    assert await site.reason(left) == "expired"


async def test_another_process_knows_no_more_than_that_it_is_gone(store: SessionStore, clock: Clock) -> None:
    async with site_of(store, clock) as one, site_of(store, clock) as other:
        signed_out, expired = await one.token(), await one.token()
        await one.send("/out", signed_out)
        assert await other.reason(signed_out) == "unknown_id"
        clock.advance(IDLE)

        assert await other.reason(expired) == "unknown_id"
