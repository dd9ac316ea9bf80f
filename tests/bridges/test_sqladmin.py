"""sqladmin beside a kit: signed in by the kit's sessions, by the kit's ``request.session``, and by a middleware of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import StaticPool

from fastapi_sessionkit import RouterGuard, Rule, Session, clear_session, get_session, set_session
from tests.bridges.documented import documented
from tests.support import COOKIE, SECRET, client_of, new_kit

sqladmin = pytest.importorskip("sqladmin", reason="sqladmin is not installed")
authentication = pytest.importorskip("sqladmin.authentication", reason="sqladmin is not installed")

MAPPING = "__Host-request_session"
EVIL = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
FORM = {"username": "ada", "password": "right"}


class Table(DeclarativeBase): ...


class Product(Table):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class ByTheMapping(authentication.AuthenticationBackend):  # type: ignore[misc,name-defined]
    """As sqladmin's documentation has it, but for the middleware where the kit gives ``request.session``."""

    async def login(self, request: Request) -> bool:
        form = await request.form()
        if form["password"] != "right":
            return False
        request.session.update({"user_id": form["username"]})
        return True

    async def logout(self, request: Request) -> bool:
        request.session.clear()
        return True

    async def authenticate(self, request: Request) -> bool:
        return "user_id" in request.session


class ByTheKit(authentication.AuthenticationBackend):  # type: ignore[misc,name-defined]
    """Who is signed in is the kit's business."""

    def __init__(self) -> None:
        self.middlewares: list[Any] = []

    async def login(self, request: Request) -> bool:
        form = await request.form()
        if form["password"] != "right":
            return False
        set_session(request, Session(user_id=str(form["username"]), role="admin"))
        return True

    async def logout(self, request: Request) -> Response:
        clear_session(request)
        return RedirectResponse("/", 303)

    async def authenticate(self, request: Request) -> bool:
        session = await get_session(request)
        return session is not None and session.has_role("admin")

    async def get_user_id(self, request: Request) -> str | None:
        session = await get_session(request)
        return None if session is None else session.user_id


def by_the_kits_mapping() -> Any:
    backend = ByTheMapping(SECRET)
    backend.middlewares = []
    return backend


BACKENDS = {
    "kit": (ByTheKit, COOKIE),
    "mapping": (by_the_kits_mapping, MAPPING),
    "own": (lambda: ByTheMapping(SECRET), "session"),
}


@pytest.fixture(params=BACKENDS)
def administered(request: pytest.FixtureRequest) -> Iterator[tuple[TestClient, str]]:
    """A client of an application with an admin page for products, and the cookie that keeps who is signed in there."""
    made, cookie = BACKENDS[request.param]
    with administration(made()) as client:
        yield client, cookie


def administration(backend: Any, **options: Any) -> TestClient:
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

    admin = sqladmin.Admin(app, engine, authentication_backend=backend)
    admin.add_view(type("ProductAdmin", (sqladmin.ModelView,), {"column_list": [Product.name]}, model=Product))
    return client_of(app)


def test_somebody_signs_in_and_works(administered: tuple[TestClient, str]) -> None:
    client, cookie = administered

    assert client.get("/admin/").headers["location"].endswith("/admin/login")
    assert client.post("/admin/login", data={**FORM, "password": "wrong"}).status_code == 400
    assert client.post("/admin/login", data=FORM).status_code == 302
    assert list(client.cookies) == [cookie]
    assert client.get("/admin/").status_code == 200
    assert client.post("/admin/product/create", data={"name": "Tea", "save": "Save"}).status_code == 302
    assert "Tea" in client.get("/admin/product/list").text


def test_whoever_signs_out_is_out(administered: tuple[TestClient, str]) -> None:
    client, _ = administered
    client.post("/admin/login", data=FORM)
    client.get("/admin/logout")

    assert client.get("/admin/").status_code == 302
    assert client.get("/read").json() == [None, {}]


@pytest.mark.parametrize("backend", [ByTheKit, by_the_kits_mapping])
def test_no_other_site_makes_changes_in_somebodys_name(backend: Callable[[], Any]) -> None:
    with administration(backend()) as client:
        client.post("/admin/login", data=FORM)
        answer = client.post("/admin/product/create", data={"name": "Evil", "save": "Save"}, headers=EVIL)

        assert answer.status_code == 403


def test_a_middleware_of_its_own_leaves_the_kits_mapping_alone() -> None:
    with administration(ByTheMapping(SECRET)) as client:
        client.post("/admin/login", data=FORM)

        assert client.get("/read").json() == [None, {}]


def test_the_kits_mapping_is_the_same_within_and_without() -> None:
    with administration(by_the_kits_mapping()) as client:
        client.post("/admin/login", data=FORM)

        assert client.get("/read").json() == [None, {"user_id": "ada"}]


def test_who_is_signed_in_by_the_kit_is_so_at_the_admin_page() -> None:
    with administration(ByTheKit()) as client:
        client.post("/login/user")

        assert client.get("/admin/").status_code == 302

        client.post("/login/admin")

        assert client.get("/admin/").status_code == 200


def test_a_rule_keeps_others_out_before_sqladmin_is_asked() -> None:
    guard = RouterGuard(protect=[Rule("/admin/login", public=True), Rule("/admin/**", role="admin")])
    with administration(ByTheKit(), guard=guard) as client:
        assert client.get("/admin/login").status_code == 200
        assert client.get("/admin/").status_code == 401
        assert client.post("/admin/login", data=FORM).status_code == 302
        assert client.get("/admin/product/list").status_code == 200

        client.post("/login/user")

        assert client.get("/admin/product/list").status_code == 403


def test_somebody_signs_in_by_what_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(documented("test_sqladmin.py", monkeypatch)["app"])

    assert client.post("/admin/login", data={**FORM, "password": "correct horse"}).status_code == 302
    assert list(client.cookies) == [COOKIE]
    assert client.get("/admin/").status_code == 200

    client.get("/admin/logout")

    assert client.get("/admin/").status_code == 302
