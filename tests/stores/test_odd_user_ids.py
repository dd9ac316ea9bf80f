"""A ``user_id`` that no session can have: the answer is nobody or a refusal, and no engine is asked.

It comes from clients: in JSON, ``"\\u0000"`` and ``"\\ud800"`` are texts like any other.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Body, FastAPI, HTTPException, Request
from pydantic import BaseModel, ValidationError

from fastapi_sessionkit import Session, SessionKit, SessionStore, set_session, update_session
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore
from tests.support import SECRET, SITE

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgres", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, table_name: str) -> AsyncIterator[SessionStore]:
    store: SessionStore
    match request.param:
        case "sqlite":
            store = SQLStore(tmp_path / "sessions.db")
        case "postgres":
            store = SQLStore(request.getfixturevalue("postgres").url, table_name=table_name)
        case _:
            store = RedisStore(request.getfixturevalue("redis").url)
    yield store
    await store.aclose()


ODD = ["a\x00", "\x00", "a\ud800", "\udfff"]


class Plain(BaseModel):
    """Takes any text as an id."""

    user_id: str


def client_of(kit: SessionKit[Any]) -> httpx.AsyncClient:
    """Of an application that passes on what a client names as an id; a 500 is an answer here, not an error."""
    app = FastAPI()
    kit.install(app)

    @app.post("/in")
    async def sign_in(request: Request, user_id: Annotated[Any, Body(embed=True)]) -> None:
        try:
            set_session(request, kit.model(user_id=user_id))
        except (ValidationError, TypeError) as error:
            raise HTTPException(422, "refused") from error

    @app.post("/become")
    async def become(request: Request, user_id: Annotated[Any, Body(embed=True)]) -> None:
        try:
            update_session(request, user_id=user_id)
        except (ValidationError, TypeError) as error:
            raise HTTPException(422, "refused") from error

    @app.post("/become/seen")
    async def become_seen(request: Request, user_id: Annotated[Any, Body(embed=True)]) -> None:
        await kit.require_session(request)
        await become(request, user_id)

    @app.post("/list")
    async def listed(user_id: Annotated[Any, Body(embed=True)]) -> int:
        return len(await kit.sessions.list(user_id))

    @app.post("/revoke")
    async def revoked(user_id: Annotated[Any, Body(embed=True)]) -> int:
        return await kit.sessions.revoke_user(user_id)

    @app.get("/me")
    async def me(request: Request) -> Any:
        return await kit.require_session(request)

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=SITE)


@pytest.mark.parametrize("user_id", ODD, ids=ascii)
@pytest.mark.parametrize("model", [Session, Plain])
@pytest.mark.parametrize("most", [None, 2])
async def test_one_that_a_client_names_is_no_error_of_the_engine(
    store: SessionStore, model: type[BaseModel], user_id: str, most: int | None
) -> None:
    kit = SessionKit(model, secret_key=SECRET, backend=store, max_sessions_per_user=most)
    body = json.dumps({"user_id": user_id})  # httpx can't write half of a surrogate pair, this can
    async with client_of(kit) as client:
        client.headers["content-type"] = "application/json"
        assert (await client.post("/in", content=body)).json() == {"detail": "refused"}
        assert (await client.get("/me")).status_code == 401
        assert (await client.post("/in", json={"user_id": "ada"})).status_code == 200
        for path in ("/become", "/become/seen"):
            assert (await client.post(path, content=body)).json() == {"detail": "refused"}
        assert (await client.get("/me")).json()["user_id"] == "ada"
        for path in ("/list", "/revoke"):
            answer = await client.post(path, content=body)
            assert (answer.status_code, answer.json()) == (200, 0)


@pytest.mark.parametrize("user_id", ODD, ids=ascii)
@pytest.mark.parametrize("model", [Session, Plain])
async def test_update_user_gives_nobody_such_an_id(store: SessionStore, model: type[BaseModel], user_id: str) -> None:
    kit = SessionKit(model, secret_key=SECRET, backend=store)
    async with client_of(kit) as client:
        await client.post("/in", json={"user_id": "ada"})

        with pytest.raises((ValidationError, TypeError)):
            await kit.sessions.update_user("ada", user_id=user_id)
        assert (await client.get("/me")).json()["user_id"] == "ada"


@pytest.mark.parametrize("user_id", ODD, ids=ascii)
async def test_nobody_is_found_listed_changed_or_ended(store: SessionStore, user_id: str) -> None:
    sessions = SessionKit(Session, secret_key=SECRET, backend=store).sessions

    assert await sessions.list(user_id) == []
    assert await sessions.revoke_user(user_id) == 0
    assert await sessions.update_user(user_id, role="admin") == 0
    assert await sessions.revoke("0" * 64, user_id=user_id) is False
