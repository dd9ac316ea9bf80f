"""starlette-admin beside a kit: signed in by the kit's sessions, by ``request.session``, and at an identity provider."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import StaticPool
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware

from fastapi_sessionkit import RouterGuard, Rule, Session, clear_session, get_session, set_session
from tests.bridges.documented import documented
from tests.bridges.identity_provider import ISSUER, provider, registration
from tests.support import COOKIE, SECRET, client_of, new_kit

sqla = pytest.importorskip("starlette_admin.contrib.sqla", reason="starlette-admin is not installed")
auth = pytest.importorskip("starlette_admin.auth", reason="starlette-admin is not installed")
exceptions = pytest.importorskip("starlette_admin.exceptions", reason="starlette-admin is not installed")

MAPPING = "__Host-request_session"
EVIL = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
OWN = [Middleware(SessionMiddleware, secret_key=SECRET)]


class Table(DeclarativeBase): ...


class Product(Table):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class ByTheMapping(auth.AuthProvider):  # type: ignore[misc,name-defined]
    """As starlette-admin's documentation has it."""

    async def login(self, username: str, password: str, remember_me: bool, request: Request) -> None:
        if password != "right":
            raise exceptions.LoginFailed("no")
        request.session.update({"username": username})

    async def logout(self, request: Request) -> None:
        request.session.clear()

    async def authenticate(self, request: Request) -> Any:
        username = request.session.get("username")
        return None if username is None else auth.AdminUser(username)


class ByTheKit(auth.AuthProvider):  # type: ignore[misc,name-defined]
    """Who is signed in is the kit's business."""

    async def login(self, username: str, password: str, remember_me: bool, request: Request) -> None:
        if password != "right":
            raise exceptions.LoginFailed("no")
        set_session(request, Session(user_id=username, role="admin"), persistent=remember_me)

    async def logout(self, request: Request) -> None:
        clear_session(request)

    async def authenticate(self, request: Request) -> Any:
        session = await get_session(request)
        return auth.AdminUser(session.user_id) if session is not None and session.has_role("admin") else None


def administration(signing_in: Any, middlewares: Any = (), **options: Any) -> TestClient:
    """A client of an application with an admin page for products."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    Table.metadata.create_all(engine)
    app = FastAPI()
    new_kit().install(app, request_session=True, **options)

    @app.get("/read")
    async def read(request: Request) -> Any:
        session = await get_session(request)
        return [None if session is None else session.user_id, request.session]

    @app.post("/login/{role}")
    async def login(request: Request, role: str) -> None:
        set_session(request, Session(user_id="bob", role=role))

    admin = sqla.Admin(engine, auth_provider=signing_in, secret_key=SECRET, middlewares=middlewares)
    admin.add_view(sqla.ModelView(Product))
    admin.mount_to(app)
    return client_of(app)


def submit(client: TestClient, path: str, *, headers: Any = None, **fields: str) -> Any:
    """The answer to a form of an admin page, with the page's own token."""
    token = client.cookies["starlette_admin_csrftoken"]
    return client.post(path, data={"csrftoken": token, **fields}, headers=headers)


def sign_in(client: TestClient, **fields: str) -> Any:
    client.get("/admin/login")
    return submit(client, "/admin/login", **{"username": "ada", "password": "right", **fields})


SIGNED_IN_BY: dict[str, tuple[Callable[[], Any], Any, str]] = {
    "kit": (ByTheKit, [], COOKIE),
    "mapping": (ByTheMapping, [], MAPPING),
    "own": (ByTheMapping, OWN, "session"),
}


@pytest.mark.parametrize("by", SIGNED_IN_BY)
def test_somebody_signs_in_and_works_and_signs_out(by: str) -> None:
    made, middlewares, cookie = SIGNED_IN_BY[by]
    with administration(made(), middlewares) as client:
        assert client.get("/admin/").status_code == 303
        assert sign_in(client, password="wrong").status_code == 400
        assert sign_in(client).status_code == 303
        assert [name for name in client.cookies if not name.startswith("starlette_admin")] == [cookie]
        assert "ada" in client.get("/admin/").text
        assert submit(client, "/admin/product/create", name="Tea").status_code == 303
        assert "Tea" in client.get("/admin/product/list").text

        submit(client, "/admin/logout")

        assert client.get("/admin/").status_code == 303
        assert client.get("/read").json() == [None, {}]


@pytest.mark.parametrize("made", [ByTheKit, ByTheMapping])
def test_no_other_site_makes_changes_in_somebodys_name(made: Callable[[], Any]) -> None:
    with administration(made()) as client:
        sign_in(client)
        answer = submit(client, "/admin/product/create", name="Evil", headers=EVIL)

        assert answer.status_code == 403
        assert "evil.example" in answer.text


def test_a_middleware_of_its_own_leaves_the_kits_mapping_alone() -> None:
    with administration(ByTheMapping(), OWN) as client:
        sign_in(client)

        assert client.get("/read").json() == [None, {}]


def test_remember_me_is_a_cookie_that_outlives_the_browser() -> None:
    with administration(ByTheKit()) as client:
        forgotten = sign_in(client).headers["set-cookie"]
        submit(client, "/admin/logout")
        remembered = sign_in(client, remember_me="on").headers["set-cookie"]

        assert "Max-Age" not in forgotten
        assert "Max-Age" in remembered


def test_a_rule_keeps_others_out_before_starlette_admin_is_asked() -> None:
    guard = RouterGuard(
        protect=[
            Rule("/admin/login", public=True),
            Rule("/admin/static/**", public=True),
            Rule("/admin/**", role="admin"),
        ]
    )
    with administration(ByTheKit(), guard=guard) as client:
        assert client.get("/admin/").status_code == 401
        assert sign_in(client).status_code == 303
        assert client.get("/admin/product/list").status_code == 200

        client.post("/login/user")

        assert client.get("/admin/product/list").status_code == 403


def at_an_identity_provider(identity: FastAPI) -> Any:
    """An ``OAuthProvider`` that signs in by Authlib, and keeps the state of that in ``request.session``."""
    client = pytest.importorskip("authlib.integrations.starlette_client", reason="Authlib is not installed").OAuth()
    client.register("id", **registration(identity))

    class AtTheProvider(auth.OAuthProvider):  # type: ignore[misc,name-defined]
        async def redirect_to_provider(self, request: Request, callback_url: str) -> Any:
            return await client.id.authorize_redirect(request, callback_url)

        async def handle_callback(self, request: Request) -> None:
            token = await client.id.authorize_access_token(request)
            set_session(request, Session(user_id=token["userinfo"]["sub"], role="admin"))

        authenticate = ByTheKit.authenticate
        logout = ByTheKit.logout

    return AtTheProvider()


def test_somebody_signs_in_at_an_identity_provider() -> None:
    identity = provider()
    with administration(at_an_identity_provider(identity)) as client:
        sent = client.get(client.get("/admin/product/list").headers["location"])
        back = client_of(identity, base_url=ISSUER).get(sent.headers["location"]).headers["location"]
        answer = client.get(back, headers={"sec-fetch-site": "cross-site"})

        assert answer.headers["location"] == "https://testserver/admin/product/list"
        assert client.get("/read").json() == ["ada", {}]
        assert re.search(r"\bada\b", client.get("/admin/product/list").text)


def test_somebody_signs_in_by_what_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(documented("test_starlette_admin.py", monkeypatch)["app"])

    assert sign_in(client, password="correct horse").status_code == 303
    assert COOKIE in client.cookies
    assert client.get("/admin/").status_code == 200

    submit(client, "/admin/logout")

    assert client.get("/admin/").status_code == 303
