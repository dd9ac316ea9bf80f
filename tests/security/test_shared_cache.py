"""A shared cache in front of the application never serves one user's response to another.

Two models of one (RFC 9111): one that does as it should, and one that ignores ``Vary``, as some do. Both are as eager
as they may be: they keep every response to a GET that nothing forbids them to keep, whatever its status, and serve it
for ever.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.staticfiles import StaticFiles

from fastapi_sessionkit import (
    MemoryStore,
    RouterGuard,
    Rule,
    Session,
    clear_session,
    get_session,
    is_authenticated,
    regenerate_session,
    require_role,
    set_session,
    update_session,
)
from tests.support import SITE, new_kit

NOBODY = "nobody"
USERS = ("ada", "bob")
CACHED = "public, max-age=3600, s-maxage=3600"


Visitor = Annotated[Session | None, Depends(get_session)]
User = Annotated[Session, Depends(require_role("user"))]


def name_of(session: Session | None) -> str:
    return NOBODY if session is None else session.user_id


def cached_application(files: Path, *, in_memory: bool) -> FastAPI:
    app = FastAPI()
    backend = MemoryStore() if in_memory else None
    kit = new_kit(backend=backend)
    guard = RouterGuard(
        protect=[
            Rule("/guarded/**", role="user"),
            Rule("/never", role="admin"),
            Rule("/welcome", allow=lambda _: True),
        ],
        login_path="/sign-in-first",
    )
    kit.install(app, guard=guard)
    _add_pages(app)
    _add_responses(app)
    _add_changes(app)
    app.mount("/guarded/files", StaticFiles(directory=files))
    return app


def _add_pages(app: FastAPI) -> None:
    """Whose response it is stands in it, wherever the application knows it."""

    @app.get("/public")
    async def public():
        return "the same for everybody"

    @app.get("/public/cached")
    async def cached(response: Response):
        response.headers["cache-control"] = CACHED
        return "the same for everybody"

    @app.get("/guarded/page")
    async def guarded(session: Visitor):
        return name_of(session)

    @app.get("/visitor")
    async def visitor(session: Visitor):
        return name_of(session)

    @app.get("/signed-in")
    async def signed_in(request: Request, known: Annotated[bool, Depends(is_authenticated)]):
        return name_of(await get_session(request)) if known else NOBODY

    @app.get("/role")
    async def of_role(session: User):
        return name_of(session)

    @app.get("/welcome")
    async def welcome(session: Visitor):
        return name_of(session)


def _add_responses(app: FastAPI) -> None:
    """The same on every kind of response."""

    @app.get("/own-response")
    async def own_response(session: Visitor):
        return PlainTextResponse(name_of(session))

    @app.get("/vary")
    async def vary(session: Visitor):
        return PlainTextResponse(name_of(session), headers={"vary": "Accept-Encoding"})

    @app.get("/stream")
    async def stream(session: Visitor):
        async def parts() -> Any:
            yield name_of(session)

        return StreamingResponse(parts())

    @app.get("/failing/{status}")
    async def failing(status: int, session: Visitor):
        raise HTTPException(status, name_of(session))

    @app.get("/moved")
    async def moved(session: Visitor):
        return RedirectResponse(f"/home/{name_of(session)}", 301)


def _add_changes(app: FastAPI) -> None:
    """Responses that carry a cookie; the last ones are what an application should not do."""

    @app.get("/sign-in/{name}")
    async def sign_in(request: Request, name: str):
        set_session(request, Session(user_id=name, role="user"))
        return name

    @app.get("/sign-out")
    async def sign_out(request: Request):
        clear_session(request)
        return NOBODY

    @app.get("/rotate")
    async def rotate(request: Request, session: User):
        regenerate_session(request)
        return name_of(session)

    @app.get("/change")
    async def change(request: Request, session: User):
        update_session(request, email=f"{session.user_id}@example.com")
        return name_of(session)

    @app.get("/cached-sign-in/{name}")
    async def cached_sign_in(request: Request, response: Response, name: str):
        set_session(request, Session(user_id=name, role="user"))
        response.headers["cache-control"] = CACHED
        return name

    @app.get("/cached-rotation")
    async def cached_rotation(request: Request, session: User):
        regenerate_session(request)
        return PlainTextResponse(name_of(session), headers={"cache-control": CACHED})


@dataclass
class SharedCache:
    """Keeps what nothing forbids to keep. ``no-cache`` is kept too, but asked for again each time."""

    client: httpx.AsyncClient
    honours_vary: bool
    kept: dict[str, list[tuple[dict[str, str | None], httpx.Response]]] = field(default_factory=dict)

    async def get(self, path: str, cookie: str | None) -> tuple[httpx.Response, bool]:
        """The response, and whether it was kept from before."""
        headers = {} if cookie is None else {"cookie": cookie}
        for selecting, response in self.kept.get(path, []):
            if all(headers.get(name) == value for name, value in selecting.items()):
                return response, True
        response = await self.client.get(path, headers=headers)
        self.client.cookies.clear()  # each browser has its own
        self._keep(path, headers, response)
        return response, False

    def _keep(self, path: str, headers: dict[str, str], response: httpx.Response) -> None:
        directives = {item.strip().partition("=")[0] for item in response.headers.get("cache-control", "").split(",")}
        vary = {item.strip().lower() for item in response.headers.get("vary", "").split(",")} - {""}
        if directives & {"no-store", "private", "no-cache"} or (self.honours_vary and "*" in vary):
            return
        selecting = {name: headers.get(name) for name in vary} if self.honours_vary else {}
        self.kept.setdefault(path, []).append((selecting, response))


PAGES = [
    "/public",
    "/public/cached",
    "/guarded/page",
    "/guarded/files/x.txt",
    "/visitor",
    "/signed-in",
    "/role",
    "/welcome",
    "/own-response",
    "/vary",
    "/stream",
    "/failing/404",
    "/failing/500",
    "/failing/503",
    "/moved",
    "/never",
    "/unknown",
    "/sign-out",
    "/rotate",
    "/change",
    "/cached-rotation",
    "/docs",
]
SIGN_INS = [f"/{page}/{name}" for page in ("sign-in", "cached-sign-in") for name in USERS]


@dataclass
class Browser:
    """Somebody behind the cache: the user that this browser is signed in as, and its cookie."""

    user: str | None = None
    cookie: str | None = None

    def take(self, response: httpx.Response) -> None:
        for header in response.headers.get_list("set-cookie"):
            pair, _, attributes = header.partition(";")
            self.cookie = None if "Max-Age=0" in attributes else pair


async def visit(cache: SharedCache, browser: Browser, path: str) -> None:
    if "sign-in/" in path:
        browser.user = path.rpartition("/")[2]
    elif path == "/sign-out":
        browser.user = None
    response, from_cache = await cache.get(path, browser.cookie)
    seen = response.text + response.headers.get("location", "")

    others = [user for user in USERS if user != browser.user]
    assert not any(user in seen for user in others), f"{path} of {others} served to {browser.user}"
    assert not (from_cache and "set-cookie" in response.headers), f"a cookie from the cache on {path}"
    browser.take(response)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "x.txt").write_text("for users")
    return folder


@pytest.fixture(scope="module", params=["cookie", "memory"])
def app(request: pytest.FixtureRequest, files: Path) -> FastAPI:
    return cached_application(files, in_memory=request.param == "memory")


def async_client_of(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=SITE)


@pytest.mark.anyio
@pytest.mark.parametrize("honours_vary", [True, False])
@given(visits=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([*PAGES, *SIGN_INS])), min_size=2, max_size=14))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_no_order_of_visits_serves_one_users_response_to_another(
    app: FastAPI, visits: list[tuple[int, str]], *, honours_vary: bool
) -> None:
    browsers = [Browser(), Browser(), Browser()]
    async with async_client_of(app) as client:
        cache = SharedCache(client, honours_vary)
        for who in (0, 1):
            await visit(cache, browsers[who], f"/sign-in/{USERS[who]}")
        for who, path in visits:
            await visit(cache, browsers[who], path)


@pytest.mark.anyio
@pytest.mark.parametrize("honours_vary", [True, False])
@pytest.mark.parametrize("path", [*PAGES, "/cached-sign-in/ada"])
async def test_each_page_is_safe_after_somebody_else_saw_it(app: FastAPI, path: str, *, honours_vary: bool) -> None:
    async with async_client_of(app) as client:
        cache = SharedCache(client, honours_vary)
        ada, bob = Browser(), Browser()
        await visit(cache, ada, "/sign-in/ada")
        await visit(cache, bob, "/sign-in/bob")
        await visit(cache, ada, path)
        for browser in (bob, Browser()):
            if "sign-in" not in path:
                await visit(cache, browser, path)

        response, from_cache = await cache.get(path, None)
        assert not (from_cache and "set-cookie" in response.headers)


@pytest.mark.anyio
async def test_a_cache_that_honours_vary_tells_public_responses_apart(files: Path) -> None:
    """Its own ``Cache-Control`` is left alone: a page that shows who is signed in should not be called public."""
    app = cached_application(files, in_memory=False)

    @app.get("/its-own-fault")
    async def its_own_fault(response: Response, session: Visitor):
        response.headers["cache-control"] = CACHED
        return name_of(session)

    async with async_client_of(app) as client:
        cache = SharedCache(client, honours_vary=True)
        ada, bob = Browser(), Browser()
        await visit(cache, ada, "/sign-in/ada")
        await visit(cache, bob, "/sign-in/bob")
        for browser in (ada, bob, Browser()):
            await visit(cache, browser, "/its-own-fault")


@pytest.mark.anyio
async def test_the_cache_does_serve_what_is_the_same_for_everybody(app: FastAPI) -> None:
    """Otherwise the cache of this file would prove nothing."""
    async with async_client_of(app) as client:
        cache = SharedCache(client, honours_vary=True)
        answers = [await cache.get("/public", cookie) for cookie in (None, "a=1", "b=2")]

        assert [from_cache for _, from_cache in answers] == [False, True, True]


@pytest.mark.anyio
async def test_the_cache_would_leak_what_says_nothing_about_cookies(app: FastAPI) -> None:
    """Otherwise the cache of this file would prove nothing."""
    async with async_client_of(app) as client:
        cache = SharedCache(client, honours_vary=True)
        careless = httpx.Response(200, text="ada", headers={"set-cookie": "session=1"})
        cache._keep("/visitor", {"cookie": "ada"}, careless)  # noqa: SLF001

        with pytest.raises(AssertionError):
            await visit(cache, Browser("bob", "bob"), "/visitor")
