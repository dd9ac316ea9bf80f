"""A kit's name names its cookie, never by the name that other middleware has; and where one does, the start says so."""

import logging
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_sessionkit import ConfigurationError, CookieSettings
from tests.support import SECRET, app_kit, client_of

PLAIN = CookieSettings(https_only=False)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "__Host-session"),
        ({"name": "basket"}, "__Host-basket"),
        ({"name": "basket", "cookie": CookieSettings(name="cart")}, "__Host-cart"),
        ({"cookie": PLAIN}, "sessionkit"),
        ({"cookie": CookieSettings(path="/app")}, "sessionkit"),
        ({"cookie": CookieSettings(domain="example.com")}, "sessionkit"),
        ({"name": "basket", "cookie": PLAIN}, "basket"),
        ({"name": "session", "cookie": PLAIN}, "sessionkit"),
        ({"cookie": CookieSettings(name="session", https_only=False)}, "session"),
    ],
)
def test_the_cookies_name_is_the_kits_unless_settings_say_another(options: dict[str, Any], name: str) -> None:
    assert app_kit(**options).cookie_name == name


def test_what_openapi_calls_the_cookie_does_not_depend_on_its_prefix() -> None:
    assert app_kit().scheme_name == app_kit(cookie=PLAIN).scheme_name == "session_cookie"
    assert app_kit(name="basket").scheme_name == "basket_cookie"
    assert app_kit(cookie=CookieSettings(name="My!Basket-2.0")).scheme_name == "My_Basket-2.0_cookie"


@pytest.mark.parametrize("name", ["__Host-session", "__Secure-a", "x" * 1_025])
def test_a_kits_name_must_do_for_a_cookie(name: str) -> None:
    with pytest.raises(ConfigurationError):
        app_kit(name=name)


def test_two_kits_of_different_names_need_no_settings_for_their_cookies() -> None:
    app = FastAPI()
    app_kit().install(app)

    app_kit(name="staff").install(app)


# Other middleware


class CookieNamed:
    """As starsessions has it: the first argument behind the application is positional."""

    def __init__(self, app: ASGIApp, store: object, cookie_name: str = "session") -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def said_at_start(app: FastAPI, caplog: pytest.LogCaptureFixture) -> list[str]:
    with caplog.at_level(logging.WARNING), client_of(app), client_of(app):
        pass
    return [record.getMessage() for record in caplog.records if "uses the cookie" in record.getMessage()]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("kind", "options", "cookie"),
    [
        (SessionMiddleware, {"secret_key": SECRET}, CookieSettings(name="session", https_only=False)),
        (SessionMiddleware, {"secret_key": SECRET, "session_cookie": "sessionkit"}, PLAIN),
        (SessionMiddleware, {"secret_key": SECRET, "session_cookie": "__Host-session"}, CookieSettings()),
        (CookieNamed, {"store": None, "cookie_name": "sessionkit"}, PLAIN),
    ],
)
def test_other_middleware_with_the_same_cookie_is_reported_at_startup(
    kind: Any, options: dict[str, Any], cookie: CookieSettings, before: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI()
    if before:
        app.add_middleware(kind, **options)
    kit = app_kit(cookie=cookie)
    kit.install(app)
    if not before:
        app.add_middleware(kind, **options)

    said = said_at_start(app, caplog)

    assert len(said) == 1
    assert said[0].startswith(f"{kind.__name__} uses the cookie {kit.cookie_name!r}")
    assert "CookieSettings(name=" in said[0]


def test_other_middleware_of_what_is_mounted_is_reported_too(caplog: pytest.LogCaptureFixture) -> None:
    app, inner = FastAPI(), Starlette()
    inner.add_middleware(SessionMiddleware, secret_key=SECRET)
    app_kit(cookie=CookieSettings(name="session", https_only=False)).install(app)
    app.mount("/inner", inner)

    assert len(said_at_start(app, caplog)) == 1


@pytest.mark.parametrize("cookie", [CookieSettings(), PLAIN])
def test_other_middleware_with_its_own_cookie_is_not_reported(
    cookie: CookieSettings, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI()
    app_kit(cookie=cookie).install(app)
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    app.add_middleware(CookieNamed, None)

    assert said_at_start(app, caplog) == []
