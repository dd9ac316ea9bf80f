"""Whose session a dependency of the module gives: without a kit, with two, and inside another's application."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection

from fastapi_sessionkit import (
    ConfigurationError,
    CookieSettings,
    Session,
    get_session,
    get_session_info,
    has_all_permissions,
    has_role,
    is_authenticated,
    require,
    require_any_permission,
    require_permission,
    require_role,
    require_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import client_of, new_kit

NAMES: dict[str, Callable[[HTTPConnection], Awaitable[Any]]] = {
    "get_session": get_session,
    "require_session": require_session,
    "get_session_info": get_session_info,
    "is_authenticated": is_authenticated,
    "require_role": require_role("a"),
    "has_role": has_role("a"),
}


@pytest.mark.parametrize("use", NAMES.values(), ids=NAMES)
def test_without_a_kit_the_error_says_how_to_install_one(use: Callable[..., Any]) -> None:
    app = FastAPI()

    @app.get("/", dependencies=[Depends(use)])
    async def read() -> None: ...

    with pytest.raises(ConfigurationError, match=r"kit\.install\(app\)"):
        TestClient(app).get("/")


@pytest.mark.parametrize("use", NAMES.values(), ids=NAMES)
def test_with_two_kits_the_error_says_to_use_a_kits_own(use: Callable[..., Any]) -> None:
    app = FastAPI()
    for name in ("customers", "staff"):
        new_kit(name=name, cookie=CookieSettings(name=name)).install(app)

    @app.get("/", dependencies=[Depends(use)])
    async def read() -> None: ...

    with pytest.raises(ConfigurationError, match=r"kit\.get_session"):
        TestClient(app).get("/")


def test_require_takes_a_requirement() -> None:
    with pytest.raises(ConfigurationError, match="role"):
        require("admin")  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [require_role, require_permission, require_any_permission, has_all_permissions])
def test_names_are_needed(make: Callable[..., Any]) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_inside_another_kit_s_application_the_names_mean_ones_own_kit() -> None:
    ours = new_kit(name="ours", cookie=CookieSettings(name="ours"))
    theirs = new_kit(name="theirs", cookie=CookieSettings(name="theirs"))
    outer, middle, inner = FastAPI(), FastAPI(), FastAPI()
    ours.install(outer)
    theirs.install(middle)
    ours.install(inner)
    outer.mount("/middle", middle)
    middle.mount("/inner", inner)

    @inner.get("/admin", dependencies=[Depends(require_role("admin"))])
    async def admin() -> None: ...

    @inner.get("/who")
    async def who(session: Annotated[Session, Depends(require_session)]) -> str:
        return session.user_id

    client = client_of(outer)
    signed_in(client, ours, Session(user_id="ann"))
    signed_in(client, theirs, Session(user_id="bob", role="admin"))

    assert client.get("/middle/inner/who").json() == "ann"
    assert client.get("/middle/inner/admin").status_code == 403
