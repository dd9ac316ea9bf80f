"""Kits on mounted applications, and on what is mounted around them."""

import logging
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.routing import Mount

from fastapi_sessionkit import (
    ConfigurationError,
    CookieSettings,
    MemoryStore,
    RouterGuard,
    Rule,
    SessionKit,
)
from fastapi_sessionkit.testing import signed_in
from tests.kit.support import add_routes, ask
from tests.support import AppSession, app_kit, client_of, new_kit


def mounted(kit: SessionKit[Any], sub_kit: SessionKit[Any] | None, **guards: RouterGuard) -> FastAPI:
    app, sub = FastAPI(), FastAPI()
    add_routes(app)
    add_routes(sub)
    kit.install(app, guard=guards.get("guard"))
    if sub_kit is not None:
        sub_kit.install(sub, guard=guards.get("sub_guard"))
    app.mount("/sub", sub)
    return app


def test_a_sub_application_without_a_kit_sees_the_outer_session() -> None:
    client = client_of(mounted(app_kit(), None))

    client.post("/sub/login")

    assert [client.get("/me").json(), client.get("/sub/me").json()] == ["ada", "ada"]


def test_the_same_kit_on_both_applications_is_one_session_and_one_cookie() -> None:
    kit = app_kit()
    client = client_of(mounted(kit, kit))

    response = client.post("/sub/login")

    assert len(response.headers.get_list("set-cookie")) == 1
    assert [client.get("/me").json(), client.get("/sub/me").json()] == ["ada", "ada"]


def test_the_same_kit_on_both_applications_enforces_both_guards() -> None:
    kit = app_kit()
    guards = {"guard": RouterGuard([Rule("/sub/a")]), "sub_guard": RouterGuard([Rule("/b")])}
    client = client_of(mounted(kit, kit, **guards))

    assert [client.get(f"/sub/{path}").status_code for path in "abc"] == [401, 401, 404]


def test_the_same_kit_on_both_applications_loads_once() -> None:
    class Store(MemoryStore):
        reads = 0

        async def get(self, key: str) -> Any:
            self.reads += 1
            return await super().get(key)

    store = Store()
    kit = app_kit(backend=store)
    client = client_of(mounted(kit, kit, guard=RouterGuard([Rule("/**")]), sub_guard=RouterGuard([Rule("/**")])))
    signed_in(client, kit, AppSession(user_id="ada"))
    store.reads = 0

    client.get("/sub/me")

    assert store.reads == 1


def test_a_sub_application_with_a_kit_of_its_own_has_a_session_of_its_own() -> None:
    own = app_kit(name="own", cookie=CookieSettings(name="own"))
    client = client_of(mounted(app_kit(), own))

    client.post("/sub/login")

    assert [client.get("/me").json(), client.get("/sub/me").json()] == [None, "ada"]


def test_a_sub_application_with_its_own_kit_reaches_the_outer_one_by_name() -> None:
    outer, own = app_kit(), app_kit(name="own", cookie=CookieSettings(name="own"))
    app, sub = FastAPI(), FastAPI()
    outer.install(app)
    own.install(sub)
    app.mount("/sub", sub)

    @sub.get("/who")
    async def who(session: Annotated[AppSession, Depends(outer.require_session)]) -> str:
        return session.user_id

    client = signed_in(client_of(app), outer, AppSession(user_id="ada"))

    assert client.get("/sub/who").json() == "ada"


def test_what_a_sub_application_asks_does_not_leak_into_the_next_request() -> None:
    own = app_kit(name="own", cookie=CookieSettings(name="own"))
    client = client_of(mounted(app_kit(), own))

    client.post("/sub/login")
    client.post("/login")
    client.cookies.delete("__Host-own")

    assert [client.get("/me").json(), client.get("/sub/me").json()] == ["ada", None]


def test_with_two_kits_on_a_sub_application_the_module_s_names_raise() -> None:
    outer, own = app_kit(), app_kit(name="own", cookie=CookieSettings(name="own"))
    app, sub = FastAPI(), FastAPI()
    outer.install(app)
    outer.install(sub)
    own.install(sub)
    add_routes(sub)
    app.mount("/sub", sub)

    with pytest.raises(ConfigurationError, match="more than one"):
        client_of(app).get("/sub/me")


def test_two_applications_of_one_starlette_keep_their_kits_apart() -> None:
    kits = [app_kit(name=name, cookie=CookieSettings(name=name)) for name in ("one", "two")]
    apps = [FastAPI(), FastAPI()]
    for kit, app in zip(kits, apps, strict=True):
        kit.install(app)
        add_routes(app)
    client = client_of(Starlette(routes=[Mount(f"/{number}", app) for number, app in enumerate(apps)]))

    client.post("/1/login")

    assert [client.get("/0/me").json(), client.get("/1/me").json()] == [None, "ada"]


def test_a_mounted_application_whose_kit_uses_the_same_cookie_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    outer, inner = FastAPI(), FastAPI()
    new_kit().install(outer)
    new_kit().install(inner)
    outer.mount("/staff", inner)

    with caplog.at_level(logging.WARNING), TestClient(outer):
        pass

    assert "Another SessionKit on a mounted application uses the cookie '__Host-session'" in caplog.text


def test_an_application_that_is_mounted_on_itself_starts() -> None:
    app = FastAPI()
    app.get("/ask")(ask)
    app_kit().install(app)
    app.mount("/api", app)

    with client_of(app) as client:
        assert [client.get(path).status_code for path in ("/ask", "/api/ask")] == [200, 200]


def test_applications_that_are_mounted_on_each_other_start(caplog: pytest.LogCaptureFixture) -> None:
    app, other = FastAPI(), FastAPI()
    app.get("/ask")(ask)
    app_kit().install(app)
    app.mount("/other", other)
    other.mount("/app", app)

    with client_of(app) as client:
        assert [client.get(path).status_code for path in ("/ask", "/other/app/ask")] == [200, 200]
    assert "Another SessionKit" not in caplog.text
