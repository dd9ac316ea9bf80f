"""A session whose values requests share is changed by a function like any other: on what the store holds by then."""

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from fastapi_sessionkit import MemoryStore, Session, SessionKit, is_authenticated, require_session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import SECRET, SITE, Clock, client_of


class Counting(Session):
    """Nothing in it can change in place."""

    count: int = 0


@pytest.mark.anyio
@pytest.mark.parametrize("slow", [False, True], ids=["at once", "after a second look"])
async def test_two_requests_that_count_at_once_both_count(slow: bool, clock: Clock) -> None:
    kit = SessionKit(Counting, secret_key=SECRET, backend=MemoryStore(), clock=clock)
    app = FastAPI()
    kit.install(app)
    client = signed_in(client_of(app), kit, Counting(user_id="ada"))
    cookies = dict(client.cookies)

    @app.get("/read", dependencies=[Depends(require_session)])
    async def read() -> None: ...

    @app.post("/count")
    async def count(request: Request, meanwhile: bool = False) -> None:
        await require_session(request)
        update_session(request, lambda session: {"count": session.count + 1})
        if meanwhile and slow:
            clock.advance(6)
            assert await is_authenticated(request)
        if meanwhile:
            await send("POST", "/count")

    async def send(method: str, path: str) -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=SITE, cookies=cookies) as other:
            return (await other.request(method, path)).status_code

    assert [await send("GET", "/read") for _ in range(2)] == [200, 200]  # so that its values are shared
    assert await send("POST", "/count?meanwhile=1") == 200
    session = session_of(client, kit)
    assert session is not None
    assert session.count == 2
