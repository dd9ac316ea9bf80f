"""The session is there for pages without awaiting: it is loaded ahead, and that is nobody's business who doesn't use it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.templating import Jinja2Templates
from fastapi.testclient import TestClient
from jinja2 import DictLoader, Environment

from fastapi_sessionkit import RouterGuard, Rule, SessionKit, StoreUnavailable, session_of, update_session
from fastapi_sessionkit.templating import context_processor
from fastapi_sessionkit.testing import signed_in
from tests.support import AppSession, Clock, RecordingStore, app_kit, client_of

ADA = AppSession(user_id="ada", role="editor")
USES = [
    "{{ session.user_id }}",
    "{% if has_role('editor') %}ada{% endif %}",
    "{% if can('GET', '/desk') %}ada{% endif %}",
]
BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
HTMX = {"Accept": "*/*", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "HX-Request": "true"}
SCRIPT = {"Accept": "*/*", "Sec-Fetch-Dest": "script", "Sec-Fetch-Mode": "no-cors"}
JSON = {"Accept": "application/json"}


class Site:
    """A page, an endpoint that asks for no session, and a page for outages."""

    def __init__(self, template: str = "Hello", **options: Any) -> None:
        self.store = RecordingStore()
        self.kit: SessionKit[AppSession] = app_kit(backend=self.store, **options)
        self.app = FastAPI()
        pages = Environment(
            loader=DictLoader({"page": template, "outage": "Sorry, {{ session or 'visitor' }}"}), autoescape=True
        )
        templates = Jinja2Templates(env=pages, context_processors=[context_processor(self.kit)])
        self.kit.install(self.app, guard=RouterGuard([Rule("/desk", role="editor")]))

        @self.app.get("/")
        async def page(request: Request) -> Any:
            return templates.TemplateResponse(request, "page")

        @self.app.get("/open")
        async def asks_nothing() -> None: ...

        @self.app.exception_handler(StoreUnavailable)
        async def outage(request: Request, error: Exception) -> Any:
            return templates.TemplateResponse(request, "outage", status_code=503)

    def client(self) -> TestClient:
        """A client that is signed in, whose calls of the store are counted from here on."""
        client = signed_in(client_of(self.app), self.kit, ADA)
        self.store.calls.clear()
        return client


@pytest.mark.parametrize("headers", [{}, BROWSER, HTMX], ids=["plain", "browser", "htmx"])
@pytest.mark.parametrize("template", USES)
def test_an_open_page_has_the_session(template: str, headers: dict[str, str]) -> None:
    site = Site(template)

    assert site.client().get("/", headers=headers).text == "ada"
    assert client_of(site.app).get("/", headers=headers).text == ""


@pytest.mark.parametrize("template", USES)
def test_a_page_that_uses_it_depends_on_it(template: str) -> None:
    answer = Site(template).client().get("/")

    assert answer.headers["vary"] == "Cookie"
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("headers", [SCRIPT, JSON], ids=["script", "json"])
def test_what_is_no_page_reads_nothing(headers: dict[str, str]) -> None:
    site = Site()
    site.client().get("/open", headers=headers)

    assert site.store.calls == []


def test_what_asks_for_no_session_does_not_depend_on_it() -> None:
    site = Site()
    answer = site.client().get("/open")

    assert site.store.calls == ["get"]
    assert "vary" not in answer.headers
    assert "cache-control" not in answer.headers


def test_a_session_that_is_loaded_ahead_is_not_noted_as_used(clock: Clock) -> None:
    site = Site(clock=clock)
    client = site.client()
    clock.advance(86_400)
    client.get("/open")

    assert site.store.calls == ["get"]


@pytest.mark.parametrize("path", ["/open", "/"])
def test_an_outage_is_nobodys_business_who_does_not_use_it(path: str) -> None:
    site = Site("Hello {{ can('GET', '/open') }}")
    client = site.client()
    site.store.broken.add("get")

    assert client.get(path).status_code == 200


@pytest.mark.parametrize("template", USES)
def test_a_page_that_uses_it_is_503_in_an_outage_and_not_a_visitors(template: str) -> None:
    site = Site(template)
    client = site.client()
    site.store.broken.add("get")
    answer = client.get("/")

    assert (answer.status_code, answer.text) == (503, "Sorry, visitor")
    assert answer.headers["vary"] == "Cookie"


def site_with_error_pages() -> Site:
    site = Site()
    pages = Environment(loader=DictLoader({"error": "No, {{ session.user_id or 'visitor' }}"}), autoescape=True)
    templates = Jinja2Templates(env=pages, context_processors=[context_processor(site.kit)])

    @site.app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Any:
        return templates.TemplateResponse(request, "error", status_code=error.status_code)

    return site


@pytest.mark.parametrize("others", [{}, {"X-Others": "x" * 20_000}], ids=["short", "long"])
@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {}], ids=["cross-origin", "ambiguous path"])
def test_a_page_that_says_what_was_refused_has_the_session(headers: dict[str, str], others: dict[str, str]) -> None:
    client = site_with_error_pages().client()
    answer = client.post("/open" if headers else "/a%0Ab", headers={**headers, **others})

    assert (answer.status_code, answer.text) == (403 if headers else 400, "No, ada")


def test_attack_a_long_header_is_not_read_for_the_page_that_says_so() -> None:
    site = site_with_error_pages()
    client = site.client()
    client.cookies.set("long", "x" * 20_000)
    answer = client.get("/", headers=BROWSER)

    assert (answer.status_code, answer.text) == (431, "No, visitor")
    assert site.store.calls == []


def test_a_middleware_that_asks_afterwards_marks_the_response() -> None:
    site = Site()

    @site.app.middleware("http")
    async def note(request: Request, call_next: Any) -> Any:
        answer = await call_next(request)
        session = await site.kit.get_session(request)
        answer.headers["X-User"] = "nobody" if session is None else session.user_id
        return answer

    answer = site.client().get("/open")

    assert answer.headers["x-user"] == "ada"
    assert answer.headers["vary"] == "Cookie"


def test_a_router_guard_decides_on_what_the_store_says_then(clock: Clock) -> None:
    site = Site(clock=clock)

    async def takes_long() -> AsyncIterator[None]:
        clock.advance(10)
        await site.kit.sessions.revoke_user("ada")
        yield

    guard = RouterGuard([Rule("/slow", role="editor")])
    router = APIRouter(dependencies=[Depends(takes_long), Depends(guard)])
    router.get("/slow")(lambda: None)
    site.app.include_router(router)

    assert site.client().get("/slow").status_code == 401


@pytest.mark.parametrize("seconds", [1, 60, -60])
def test_an_endpoint_that_asks_late_is_told_what_the_store_says_then(seconds: float, clock: Clock) -> None:
    site = Site(clock=clock)

    @site.app.get("/slow")
    async def slow(request: Request) -> str:
        clock.advance(seconds)
        await site.kit.sessions.revoke_user("ada")
        session = await site.kit.get_session(request)
        return "nobody" if session is None else session.user_id

    answer = site.client().get("/slow")

    assert answer.json() == ("ada" if seconds == 1 else "nobody")
    assert answer.headers["vary"] == "Cookie"


def test_a_change_does_not_keep_from_asking_anew(clock: Clock) -> None:
    site = Site(clock=clock)

    @site.app.post("/slow")
    async def slow(request: Request) -> str:
        clock.advance(60)
        update_session(request, note="late")
        await site.kit.sessions.revoke_user("ada")
        session = await site.kit.get_session(request)
        return "nobody" if session is None else session.user_id

    assert site.client().post("/slow").json() == "nobody"


@pytest.mark.parametrize(("path", "status"), [("/password", 200), ("/mint", 401)])
def test_a_token_is_as_fresh_as_without_pages(path: str, status: int, clock: Clock) -> None:
    """It is fresh where the endpoint asks for no session but a password, whatever was loaded ahead."""
    site = Site(clock=clock, bearer=True)

    @site.app.post("/password")
    async def password(request: Request) -> str:
        return await site.kit.issue_token(request, ADA)

    @site.app.post("/mint")
    async def mint(request: Request) -> str:
        assert session_of(request) == ADA
        return await site.kit.issue_token(request, ADA)

    site.app.get("/danger", dependencies=[Depends(site.kit.require_fresh(60))])(lambda: None)
    client = site.client()
    clock.advance(61)
    token = {"Authorization": f"Bearer {client.post(path).json()}"}

    assert client_of(site.app).get("/danger", headers=token).status_code == status


def test_a_kit_without_templates_reads_nothing_ahead() -> None:
    store = RecordingStore()
    kit = app_kit(backend=store)
    app = FastAPI()
    kit.install(app)
    client = signed_in(client_of(app), kit, ADA)
    store.calls.clear()
    client.get("/", headers=BROWSER)

    assert store.calls == []
