"""A site that scripts and browsers use: it gives out tokens, sets cookies, and says who asks."""

import json
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.testclient import TestClient
from httpx2 import Response

from fastapi_sessionkit import (
    NotAuthenticated,
    clear_session,
    regenerate_session,
    require_role,
    set_session,
    update_session,
)
from tests.support import ADA, AppSession, app_kit, client_of, holding


async def nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


class Site:
    """The application, and clients of it that bring a token, a cookie, both or neither."""

    def __init__(self, *, guard: Any = None, **options: Any) -> None:
        self.kit = app_kit(**{"bearer": True, **options})
        self.app = FastAPI()
        self.kit.install(self.app, guard=guard)
        _add_endpoints_that_read(self)
        _add_endpoints_that_change(self)

    def send(
        self, method: str, path: str, token: str | None = None, cookie: str | None = None, **headers: str
    ) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            named["authorization"] = f"Bearer {token}"
        return self.client(cookie).request(method, path, headers=named)

    def client(self, cookie: str | None = None) -> TestClient:
        client = client_of(self.app)
        return client if cookie is None else holding(client, cookie)

    def who(self, token: str | None = None, cookie: str | None = None, **headers: str) -> str:
        response = self.send("GET", "/who", token, cookie, **headers)
        assert response.status_code == 200
        name: str = response.json()
        return name

    async def whom(self, *headers: tuple[bytes, bytes]) -> str:
        """Whom the site takes a request with these raw headers for."""
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
            "path": "/who", "raw_path": b"/who", "query_string": b"", "root_path": "",
            "headers": [(b"host", b"testserver"), *headers],
            "client": ("127.0.0.1", 1), "server": ("testserver", 443),
        }  # fmt: skip
        await self.app(scope, nothing, send)
        assert sent[0]["status"] == 200
        name: str = json.loads(sent[1]["body"])
        return name

    def token(self, user: str = "ada", cookie: str | None = None, **query: object) -> str:
        options = "&".join(f"{name}={value}" for name, value in query.items())
        given: str = self.send("POST", f"/token/{user}?{options}", cookie=cookie).json()
        return given

    def cookie(self, user: str = "grace") -> str:
        return self.send("POST", f"/login/{user}").cookies[self.kit.cookie_name]


def _add_endpoints_that_read(site: Site) -> None:
    app, kit = site.app, site.kit
    visitor = Annotated[AppSession | None, Depends(kit.get_session)]

    @app.get("/who")
    async def who(session: visitor) -> str:
        return "nobody" if session is None else session.user_id

    @app.get("/idle")
    async def idle() -> None: ...

    @app.get("/me")
    async def me(session: Annotated[AppSession, Depends(kit.require_session)]) -> AppSession:
        return session

    @app.get("/admin", dependencies=[Depends(require_role("admin"))])
    async def admin() -> None: ...

    @app.get("/devices")
    async def devices(request: Request, user: str) -> list[bool]:
        return [device.current for device in await kit.sessions.list(user, current=request)]

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, session: visitor) -> None:
        await websocket.accept()
        await websocket.send_text("nobody" if session is None else session.user_id)
        await websocket.close()


def _add_endpoints_that_change(site: Site) -> None:
    app, kit = site.app, site.kit

    @app.post("/token/{user}")
    async def token(request: Request, user: str, ttl: float | None = None, note: str = "") -> str:
        return await kit.issue_token(request, AppSession(user_id=user, role="user", note=note), ttl=ttl)

    @app.post("/login/{user}")
    async def login(request: Request, user: str) -> None:
        set_session(request, ADA.model_copy(update={"user_id": user}))

    @app.post("/wrong-password")
    async def wrong_password() -> None:
        raise NotAuthenticated("Wrong name or password")

    @app.post("/promote")
    async def promote(request: Request) -> None:
        update_session(request, role="admin")

    @app.post("/note/{text}", dependencies=[Depends(kit.get_session)])
    async def note(request: Request, text: str) -> None:
        update_session(request, note=text)

    @app.post("/cart/{item}")
    async def add(session: Annotated[AppSession, Depends(kit.require_session)], item: str) -> None:
        session.cart.append(item)

    @app.post("/switch/{user}")
    async def switch(request: Request, user: str) -> None:
        update_session(request, user_id=user)

    @app.post("/regenerate")
    async def regenerate(request: Request) -> None:
        regenerate_session(request)

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)
