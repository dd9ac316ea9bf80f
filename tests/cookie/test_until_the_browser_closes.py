"""``set_session(persistent=False)``: a cookie that the browser drops when it is closed, however often it is sent again."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import (
    ConfigurationError,
    CookieBackend,
    MemoryStore,
    SessionBackend,
    SessionKit,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit._request.envelope import Envelope, opened
from tests.cookie.support import parsed
from tests.support import ADA, AppSession, Clock, app_kit, client_of


def application(kit: SessionKit[AppSession]) -> FastAPI:
    app = FastAPI()
    kit.install(app)

    @app.post("/login")
    async def login(request: Request, stay: bool = False) -> None:
        set_session(request, ADA, persistent=stay)

    @app.post("/kits/login")
    async def login_by_the_kit(request: Request) -> None:
        kit.set_session(request, ADA, persistent=False)

    @app.post("/login-and-more")
    async def login_and_more(request: Request) -> None:
        set_session(request, ADA, persistent=False)
        update_session(request, note="new")

    @app.post("/note")
    async def note(request: Request) -> None:
        update_session(request, note="changed")

    @app.post("/promote")
    async def promote(request: Request) -> None:
        update_session(request, role="editor")

    @app.post("/move")
    async def move(request: Request) -> None:
        regenerate_session(request)

    @app.get("/me", dependencies=[Depends(kit.require_session)])
    async def me() -> str:
        return "me"

    return app


def lasts(answer: Any) -> bool:
    """Whether the cookie that an answer sets outlives the browser."""
    assert answer.status_code == 200
    _, value, attributes = parsed(answer.headers["set-cookie"])
    assert value
    assert "expires" not in attributes
    return "max-age" in attributes


def browser(**options: Any) -> TestClient:
    return client_of(application(app_kit(**options)))


def test_without_persistent_the_cookie_has_no_max_age() -> None:
    assert not lasts(browser().post("/login"))
    assert not lasts(browser().post("/kits/login"))
    assert not lasts(browser().post("/login-and-more"))
    assert lasts(browser().post("/login?stay=true"))


def test_what_sends_the_cookie_again_leaves_it_one_of_the_browser(backend: Any) -> None:
    with browser(backend=backend) as client:
        client.post("/login")

        for path in ("/promote", "/move", "/move"):
            assert not lasts(client.post(path))


@pytest.mark.parametrize("encrypt", [False, True])
def test_a_signed_cookie_that_is_changed_or_touched_stays_one_of_the_browser(encrypt: bool, clock: Clock) -> None:
    client = browser(backend=CookieBackend(encrypt=encrypt), clock=clock, idle_timeout=1_000)
    client.post("/login")

    changed = client.post("/note")
    clock.advance(200)
    touched = client.get("/me")

    assert not lasts(changed)
    assert not lasts(touched)


def test_the_next_sign_in_says_anew_how_long_the_cookie_lasts() -> None:
    client = browser(backend=MemoryStore())

    assert not lasts(client.post("/login"))
    assert lasts(client.post("/login?stay=true"))
    assert lasts(client.post("/move"))


def test_a_release_that_updates_the_session_keeps_it_one_of_the_browser() -> None:
    store = MemoryStore()
    client = browser(backend=store)
    client.post("/login")
    newer = client_of(
        application(app_kit(backend=store, model_version=2, migrate=lambda data, _: data)), cookies=client.cookies
    )

    assert not lasts(newer.post("/promote"))


@pytest.mark.parametrize("make", [CookieBackend, MemoryStore])
def test_the_servers_clocks_hold_all_the_same(make: type[SessionBackend], clock: Clock) -> None:
    client = browser(backend=make(), clock=clock, idle_timeout=1_000)
    client.post("/login")

    clock.advance(1_001)

    assert client.get("/me").status_code == 401


@pytest.mark.parametrize("persistent", [None, "", "false", 0, 1])
def test_persistent_is_true_or_false(persistent: Any) -> None:
    app = FastAPI()
    app_kit().install(app)

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, ADA, persistent=persistent)

    with pytest.raises(ConfigurationError, match=r"set_session\(persistent="):
        client_of(app).post("/login")


@pytest.mark.parametrize("body", [b"{}", b'{"a":1}', b'{"a":"]\\"transient\\""}'])
@pytest.mark.parametrize("version", [1, 2, 30])
@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("transient", [False, True])
def test_every_note_is_read_as_it_was_written(body: bytes, version: int, moves: bool, transient: bool) -> None:
    noted = Envelope(body, moves, moves, version, transient)

    assert opened(noted.data()) == noted
