"""An application that has switched to the kit from another library, and browsers that were signed in before."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from itsdangerous import TimestampSigner

from fastapi_sessionkit import (
    CookieBackend,
    SessionKit,
    StoreBackend,
    clear_session,
    get_session_info,
    reauthenticate_session,
    regenerate_session,
    require_fresh,
    set_session,
    update_session,
)
from tests.support import ADA, AppSession, RecordingStore, app_kit, client_of

OLD_KEY = "the key that the old middleware has signed with"
DAY = 86_400
OLD = "their-id-of-ada"
THEIRS = {OLD: "ada", "their-id-of-bob": "bob"}


def session_of(data: dict[str, Any]) -> AppSession | None:
    return AppSession(user_id=data["user"], role="user") if "user" in data else None


async def adopted(value: str) -> AppSession | None:
    return AppSession(user_id=THEIRS[value], role="user") if value in THEIRS else None


def signed(data: Any, key: str = OLD_KEY) -> str:
    return TimestampSigner(key).sign(b64encode(json.dumps(data).encode())).decode()


def signed_at(when: float) -> str:
    class Then(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(when)

    return Then(OLD_KEY).sign(b64encode(b'{"user": "ada"}')).decode()


def routes(app: FastAPI, kit: SessionKit[AppSession]) -> None:  # noqa: C901
    Current = Annotated[AppSession, Depends(kit.require_session)]  # noqa: N806

    @app.get("/me")
    async def me(session: Current) -> list[str]:
        return [session.user_id, session.note]

    @app.get("/idle")
    async def idle() -> None: ...

    @app.get("/fail")
    async def fail(session: Current) -> PlainTextResponse:
        return PlainTextResponse(session.user_id, 500)

    @app.post("/note/{note}")
    async def note(request: Request, session: Current, note: str) -> str:
        update_session(request, note=note)
        return session.user_id

    @app.post("/note-unseen/{note}")
    async def note_unseen(request: Request, note: str) -> None:
        update_session(request, note=note)

    @app.post("/move")
    async def move(request: Request) -> None:
        regenerate_session(request)

    @app.post("/prove")
    async def prove(request: Request) -> None:
        reauthenticate_session(request)

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, ADA)

    @app.get("/fresh", dependencies=[Depends(require_fresh(600))])
    async def fresh() -> None: ...

    @app.get("/info")
    async def info(request: Request) -> dict[str, Any]:
        found = await get_session_info(request)
        return {} if found is None else {"authenticated": found.authenticated_at.timestamp()}


class Switched:
    """An application that has switched, and what makes a browser of somebody who was signed in before."""

    def __init__(self, backend: Any, old: Callable[[], str], **options: Any) -> None:
        self.kit = app_kit(backend=backend, **options)
        self.app = FastAPI()
        self.kit.install(self.app)
        routes(self.app, self.kit)
        self.old = old

    def browser(self, value: str | None = None, name: str = "session") -> TestClient:
        client = client_of(self.app)
        client.cookies.set(name, self.old() if value is None else value, domain="testserver.local", path="/")
        return client


def from_starlette(**options: Any) -> Switched:
    return Switched(CookieBackend(accept_starlette=(OLD_KEY, session_of)), lambda: signed({"user": "ada"}), **options)


def from_a_store(store: Any = None, adopt: Any = adopted, **options: Any) -> Switched:
    return Switched(StoreBackend(store or RecordingStore(), adopt=adopt), lambda: OLD, **options)
