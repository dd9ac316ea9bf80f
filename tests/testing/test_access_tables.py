"""``assert_access``: who is answered what, and what it says when somebody is answered something else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from fastapi_sessionkit import (
    Access,
    ConfigurationError,
    CookieSettings,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    require_role,
)
from fastapi_sessionkit.testing import assert_access
from tests.support import AppSession, app_kit, new_kit

GUARD = RouterGuard(
    protect=[Rule("/admin/**", role="admin"), Rule("/premium", allow=lambda s: s is not None and s.tier == "premium")]
)


class Order(BaseModel):
    item: str


def application(kit: SessionKit[Any]) -> FastAPI:
    app = FastAPI()
    kit.install(app, guard=GUARD)

    @app.get("/admin")
    async def admin() -> None: ...

    @app.get("/premium")
    async def premium(session: Annotated[AppSession, Depends(kit.require_session)]) -> str:
        return session.user_id

    @app.post("/orders", dependencies=[Depends(kit.require_role("editor", "admin"))])
    async def order(order: Order) -> None: ...

    @app.get("/elsewhere")
    async def elsewhere() -> RedirectResponse:
        return RedirectResponse("/admin")

    @app.post("/logout")
    async def logout(request: Request) -> None:
        kit.clear_session(request)

    @app.get("/broken")
    async def broken() -> None:
        raise KeyError("secret")

    return app


RIGHT = {
    ("GET", "/admin"): {"admin": 200, "editor": 403, "anonymous": 401},
    ("POST", "/orders"): {"editor": 422, "customer": 403, "anonymous": 401},
    ("GET", "/elsewhere"): {"anonymous": 307},
    ("GET", "/nowhere"): {"admin": 404},
    ("DELETE", "/orders"): {"anonymous": 405},
}


def test_a_table_that_is_right_passes(backend: Any) -> None:
    assert_access(application(app_kit(backend=backend)), RIGHT)


@pytest.mark.parametrize("operation", RIGHT)
def test_each_wrong_answer_fails(operation: tuple[str, str]) -> None:
    for name, status in RIGHT[operation].items():
        table = {**RIGHT, operation: {**RIGHT[operation], name: status + 1}}

        with pytest.raises(AssertionError, match=rf"{status}, not {status + 1}"):
            assert_access(application(app_kit()), table)


def test_what_is_wrong_is_shown_as_a_table() -> None:
    table = {
        ("GET", "/admin"): {"admin": 200, "editor": 200, "anonymous": 401},
        ("GET", "/elsewhere"): {"anonymous": 307},
        ("POST", "/orders"): {"editor": 201, "anonymous": 401, "visitor": 403},
    }
    with pytest.raises(AssertionError) as failed:
        assert_access(application(app_kit()), table)

    assert str(failed.value).splitlines() == [
        "2 of 7 answers are not what the table says:",
        "",
        "              admin  editor        anonymous  visitor",
        "GET /admin    200    403, not 200  401",
        "POST /orders         422, not 201  401        403",
    ]


def test_an_error_that_nothing_handles_is_a_500_with_its_kind() -> None:
    assert_access(application(app_kit()), {("GET", "/broken"): {"anonymous": 500}})

    with pytest.raises(AssertionError, match=r"500 \(KeyError\), not 200") as failed:
        assert_access(application(app_kit()), {("GET", "/broken"): {"anonymous": 200}})
    assert "secret" not in str(failed.value)


def test_people_have_the_sessions_that_are_given() -> None:
    people = {"ada": AppSession(user_id="ada", tier="premium"), "admin": AppSession(user_id="eve"), "nobody": None}
    table = {("GET", "/premium"): {"ada": 200, "bob": 403, "nobody": 401}, ("GET", "/admin"): {"admin": 403}}

    assert_access(application(app_kit()), table, people=people)


def test_each_request_comes_from_a_client_that_was_just_signed_in() -> None:
    table = {
        ("POST", "/logout"): {"admin": 200, "anonymous": 200},
        ("GET", "/admin"): {"admin": 200, "anonymous": 401},
        ("GET", "/admin/"): {"anonymous": 401, "admin": 307},
    }

    assert_access(application(app_kit()), table)


def test_the_application_is_started_and_shut_down() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        events.append("started")
        yield
        events.append("shut down")

    app = FastAPI(lifespan=lifespan)
    new_kit().install(app)
    app.get("/")(lambda: events.append("asked"))
    assert_access(app, {("GET", "/"): {"anonymous": 200}})

    assert events == ["started", "asked", "shut down"]


def test_it_works_in_an_asynchronous_test(backend: Any) -> None:
    async def test() -> None:
        assert_access(application(app_kit(backend=backend)), RIGHT)

    asyncio.run(test())


def test_overridden_dependencies_are_overridden_here_too() -> None:
    app = FastAPI()
    new_kit().install(app)
    app.get("/", dependencies=[Depends(require_role("admin"))])(lambda: None)
    app.dependency_overrides[require_role("admin")] = lambda: None

    assert_access(app, {("GET", "/"): {"anonymous": 200}})


# What can't be asked


def two_kits() -> tuple[FastAPI, SessionKit[Session]]:
    app, staff = FastAPI(), new_kit(name="staff", cookie=CookieSettings(name="staff"))
    new_kit().install(app)
    staff.install(app)
    app.get("/", dependencies=[Depends(staff.require_role("admin"))])(lambda: None)
    return app, staff


def test_with_two_kits_one_is_named() -> None:
    app, staff = two_kits()

    assert_access(app, {("GET", "/"): {"admin": 200, "anonymous": 401}}, kit=staff)


def test_nobody_signs_in_to_what_visitors_and_libraries_keep() -> None:
    app = FastAPI()
    app_kit().install(app, request_session=True)
    SessionKit(Basket, secret_key="x" * 32, name="basket", anonymous=True).install(app)
    app.get("/", dependencies=[Depends(require_role("admin"))])(lambda: None)

    assert_access(app, {("GET", "/"): {"admin": 200, "anonymous": 401}})


@pytest.mark.parametrize(("make", "number"), [(FastAPI, "none"), (lambda: two_kits()[0], "2")])
def test_without_one_kit_it_says_what_to_write(make: Callable[[], FastAPI], number: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"this one has {number}.*kit=kit"):
        assert_access(make(), {("GET", "/"): {"anonymous": 200}})


@pytest.mark.parametrize("table", [{}, {("GET", "/"): {}}])
def test_an_empty_table_asserts_nothing_and_is_refused(table: dict[tuple[str, str], dict[str, int]]) -> None:
    with pytest.raises(ConfigurationError, match="takes a table such as"):
        assert_access(application(app_kit()), table)


def test_anonymous_is_nobody_else() -> None:
    with pytest.raises(ConfigurationError, match="'anonymous' is nobody"):
        assert_access(application(app_kit()), RIGHT, people={"anonymous": AppSession(user_id="ada")})


class Basket(BaseModel):
    packets: int = 0


class Visitor(BaseModel):
    job: str


class Employee(Session):
    department: str


@pytest.mark.parametrize(
    ("model", "said"),
    [(Visitor, "can't be a role, which Visitor does not have"), (Employee, "'admin' alone makes no Employee")],
)
def test_somebody_who_can_not_be_made_of_a_role_has_to_be_given(model: type[BaseModel], said: str) -> None:
    app = FastAPI()
    access: Access = Access(get_roles=lambda s: [s.job]) if model is Visitor else Access()
    new_kit(model=model, access=access).install(app)

    with pytest.raises(ConfigurationError, match=rf"{said}.*people=\{{'admin': {model.__name__}\(\.\.\.\)"):
        assert_access(app, {("GET", "/"): {"admin": 404}})


def test_a_model_with_roles_of_its_own_is_asked_about_people() -> None:
    app = FastAPI()
    kit = SessionKit(Visitor, secret_key="x" * 32, access=Access(get_roles=lambda s: [s.job]))
    kit.install(app)
    app.get("/", dependencies=[Depends(kit.require_role("cook"))])(lambda: None)
    people = {"cook": Visitor(job="cook"), "waiter": Visitor(job="waiter")}

    assert_access(app, {("GET", "/"): {"cook": 200, "waiter": 403, "anonymous": 401}}, people=people)
