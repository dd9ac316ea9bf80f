import sqlite3
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from fastapi_sessionkit import Session, set_session
from fastapi_sessionkit.stores.sql import SQLStore
from tests.support import SITE, new_kit

pytestmark = pytest.mark.anyio


def shop(store: SQLStore) -> FastAPI:
    kit = new_kit(backend=store)
    app = FastAPI()
    kit.install(app)

    @app.post("/login")
    async def login(request: Request):
        set_session(request, Session(user_id="ada"))

    @app.get("/me")
    async def me(session: Annotated[Session, Depends(kit.require_session)]):
        return session.user_id

    return app


async def test_a_leaked_table_holds_nothing_that_opens_a_session(tmp_path: Path) -> None:
    file = tmp_path / "sessions.db"
    store = SQLStore(f"sqlite:///{file}")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop(store)), base_url=SITE) as client:
        await client.post("/login")
        [(name, token)] = client.cookies.items()
        assert (await client.get("/me")).status_code == 200

        with sqlite3.connect(file) as connection:
            leaked = [str(value) for row in connection.execute("SELECT * FROM sessionkit_sessions") for value in row]
            dump = "\n".join(connection.iterdump())
        connection.close()
        client.cookies.clear()
        answers = [(await client.get("/me", headers={"cookie": f"{name}={value}"})).status_code for value in leaked]
    await store.aclose()

    assert set(answers) == {401}
    assert not any(part in dump for part in token.split("."))
