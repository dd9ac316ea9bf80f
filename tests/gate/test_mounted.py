"""The gate and sub-applications."""

from typing import Annotated

from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from fastapi_sessionkit import (
    CookieSettings,
    MemoryStore,
    RouterGuard,
    Rule,
    Session,
    get_session,
    require_role,
)
from fastapi_sessionkit.testing import signed_in
from tests.gate.support import ADMIN, CUSTOMER, NAVIGATION
from tests.support import client_of, new_kit


def test_a_sub_application_without_a_kit_uses_the_one_around_it() -> None:
    kit, app, sub = new_kit(), FastAPI(), FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/sub/admin/**", role="admin")]))

    @sub.get("/who")
    async def who(session: Annotated[Session | None, Depends(get_session)]) -> str:
        return session.user_id if session else "nobody"

    @sub.get("/roles", dependencies=[Depends(require_role("admin"))])
    @sub.get("/admin/x")
    async def admin() -> None: ...

    app.mount("/sub", sub)
    customer = signed_in(client_of(app), kit, CUSTOMER)

    assert client_of(app).get("/sub/who").json() == "nobody"
    assert customer.get("/sub/who").json() == "ada"
    assert customer.get("/sub/roles").status_code == 403
    assert customer.get("/sub/admin/x").status_code == 403
    assert signed_in(client_of(app), kit, ADMIN).get("/sub/admin/x").status_code == 200


def test_a_sub_application_with_its_own_kit_has_its_own_sessions_and_rules() -> None:
    outer, app = new_kit(), FastAPI()
    inner = new_kit(name="staff", cookie=CookieSettings(name="staff"))
    sub = FastAPI()
    outer.install(app)
    inner.install(sub, guard=RouterGuard(protect=[Rule("/admin/**", role="admin")], login_path="/login"))

    @sub.get("/who")
    @sub.get("/admin/who")
    @app.get("/who")
    async def who(session: Annotated[Session | None, Depends(get_session)]) -> str:
        return session.user_id if session else "nobody"

    app.mount("/sub", sub)
    client = signed_in(signed_in(client_of(app), outer, CUSTOMER), inner, ADMIN)

    assert client.get("/who").json() == "ada"
    assert client.get("/sub/who").json() == "root"
    assert client.get("/sub/admin/who").json() == "root"
    assert client.get("/who").json() == "ada"
    only_outer = signed_in(client_of(app), outer, ADMIN)
    assert only_outer.get("/sub/admin/who").status_code == 401
    to_login = only_outer.get("/sub/admin/who", headers=NAVIGATION).headers["location"]
    assert to_login == "/sub/login?next=/sub/admin/who"


def test_the_outer_gate_stands_before_a_sub_application_s_own_gate() -> None:
    outer, app, sub = new_kit(), FastAPI(), FastAPI()
    inner = new_kit(name="staff", cookie=CookieSettings(name="staff"))
    outer.install(app, guard=RouterGuard(protect=[Rule("/sub/**")]))
    inner.install(sub, guard=RouterGuard(protect=[Rule("/page")]))

    @sub.get("/page")
    async def page() -> None: ...

    app.mount("/sub", sub)

    assert signed_in(client_of(app), inner, ADMIN).get("/sub/page").status_code == 401
    assert signed_in(client_of(app), outer, ADMIN).get("/sub/page").status_code == 401
    both = signed_in(signed_in(client_of(app), outer, ADMIN), inner, ADMIN)
    assert both.get("/sub/page").status_code == 200


def test_the_same_kit_on_both_applications_is_one_session() -> None:
    kit, app, sub = new_kit(backend=MemoryStore()), FastAPI(), FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/sub/**")]))
    kit.install(sub, guard=RouterGuard(protect=[Rule("/admin", role="admin")]))

    @sub.get("/admin")
    @sub.get("/page")
    async def page(session: Annotated[Session, Depends(get_session)]) -> str:
        return session.user_id

    @sub.post("/login")
    async def login(request: Request) -> None:
        kit.set_session(request, ADMIN)

    app.mount("/sub", sub)
    customer = signed_in(client_of(app), kit, CUSTOMER)

    assert client_of(app).get("/sub/page").status_code == 401
    assert customer.get("/sub/page").json() == "ada"
    assert customer.get("/sub/admin").status_code == 403
    response = customer.post("/sub/login")
    assert len(response.headers.get_list("set-cookie")) == 1
    assert customer.get("/sub/admin").json() == "root"


def test_a_plain_starlette_application_is_guarded_like_any_other() -> None:
    async def page(request: Request) -> Response:
        session = await kit.get_session(request)
        return PlainTextResponse(session.user_id if session else "nobody")

    kit = new_kit()
    app = Starlette(routes=[Route("/open", page), Mount("/admin", routes=[Route("/x", page)])])
    kit.install(app, guard=RouterGuard(protect=[Rule("/admin/**", role="admin")], login_path="/login"))

    assert client_of(app).get("/open").text == "nobody"
    assert client_of(app).get("/admin/x").status_code == 401
    redirect = client_of(app).get("/admin/x", headers=NAVIGATION)
    assert (redirect.status_code, redirect.headers["location"]) == (302, "/login?next=/admin/x")
    assert signed_in(client_of(app), kit, CUSTOMER).get("/admin/x").status_code == 403
    assert signed_in(client_of(app), kit, ADMIN).get("/admin/x").text == "root"
