"""A site to attack: it says who is there, gives out cookies and tokens, and changes sessions."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from fastapi_sessionkit import RouterGuard, SessionBackend, SessionInfo, SessionKit, SessionStore
from tests.support import ADA, COOKIE, SECRET, AppSession, client_of

NOBODY = "nobody"


class Site:
    """An application with a kit. Its client shows the site's own errors as 500, as a server does, and keeps no cookie.

    Args:
        backend: the kit's.
        model: the kit's.
        guard: the application's.
        settings: of the kit.
    """

    def __init__(
        self,
        backend: SessionBackend | SessionStore,
        *,
        model: type[AppSession] = AppSession,
        guard: RouterGuard | None = None,
        **settings: Any,
    ) -> None:
        options = {"secret_key": SECRET, "bearer": True, **settings}
        self.kit: SessionKit[AppSession] = SessionKit(model, backend=backend, **options)
        self.ada: AppSession = model(**ADA.model_dump())
        kit, self.app = self.kit, FastAPI()
        kit.install(self.app, guard=guard)
        self.client = client_of(self.app, raise_server_exceptions=False)
        self.clock: Any = settings.get("clock")
        self._add_routes()

    def _add_routes(self) -> None:
        app, kit = self.app, self.kit

        @app.post("/login")
        async def login(request: Request) -> None:
            kit.set_session(request, self.ada)

        @app.post("/token")
        async def token(request: Request) -> str:
            return await kit.issue_token(request, self.ada)

        @app.get("/me")
        async def me(
            session: Annotated[Any, Depends(kit.get_session)],
            info: Annotated[SessionInfo | None, Depends(kit.get_session_info)],
        ) -> dict[str, Any] | None:
            return None if session is None else {**session.model_dump(), "made": info and info.created_at}

        @app.post("/change")
        async def change(request: Request) -> None:
            kit.update_session(request, note="changed")

        @app.post("/rotate")
        async def rotate(request: Request) -> None:
            kit.regenerate_session(request)

        @app.post("/revoke")
        async def revoke(all_of_them: bool) -> None:
            if all_of_them:
                await kit.sessions.revoke_user("ada")
            else:
                for each in await kit.sessions.list("ada"):
                    await kit.sessions.revoke(each.handle)

        @app.post("/logout")
        async def logout(request: Request) -> None:
            kit.clear_session(request)

    def token(self, carrier: str = "cookie") -> str:
        """A token of Ada's for a cookie or a header."""
        if carrier == "bearer":
            token: str = self.client.post("/token").json()
        else:
            token = self.client.post("/login").headers["set-cookie"].partition("=")[2].partition(";")[0]
            self.client.cookies.clear()
        return token

    def revoke(self, *, all_of_them: bool) -> None:
        """End Ada's sessions, at once or one by one."""
        self.client.post("/revoke", params={"all_of_them": all_of_them})

    def request(self, method: str, path: str, token: str | bytes, carrier: str = "cookie") -> Any:
        """The answer to a request with a token."""
        value = token.encode("latin-1") if isinstance(token, str) else token
        header = (
            (b"Authorization", b"Bearer " + value)
            if carrier == "bearer"
            else (b"Cookie", COOKIE.encode() + b"=" + value)
        )
        answer = self.client.request(method, path, headers=dict([header]))
        self.client.cookies.clear()
        return answer

    def who(self, token: str | bytes, carrier: str = "cookie") -> str:
        """Who is there with a token; whatever it is, it is no error."""
        answer = self.request("GET", "/me", token, carrier)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return NOBODY if found is None else str(found["user_id"])

    def assert_opens_nothing(self, token: str | bytes, carrier: str = "cookie") -> None:
        """Nobody is there with a token, and nothing can be changed with it."""
        assert self.who(token, carrier) == NOBODY
        assert self.request("POST", "/change", token, carrier).status_code == 401
        assert self.request("POST", "/logout", token, carrier).status_code == 200
