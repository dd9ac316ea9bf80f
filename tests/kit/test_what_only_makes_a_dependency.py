"""What makes a dependency, a requirement or a change guards nothing as a dependency: it fails the start."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.requests import HTTPConnection

import fastapi_sessionkit
from fastapi_sessionkit import (
    ConfigurationError,
    Requirement,
    RouterGuard,
    Rule,
    custom,
    fresh,
    has_role,
    permission,
    require,
    require_fresh,
    require_role,
    require_session,
    role,
    signed_in,
)
from fastapi_sessionkit.dependencies import Required
from tests.support import AppSession, app_kit, client_of

kit = app_kit()


def admins_only() -> Required[Any]:
    return require_role("admin")


def editors(of: str = "") -> Requirement:
    return role("editor")


class Policy:
    def admins(self) -> "Required[AppSession]":
        return kit.require_role("admin")


def start(app: FastAPI) -> None:
    with client_of(app):
        pass


def guarded_by(dependency: Any) -> FastAPI:
    app = FastAPI()
    kit_of_its_own = app_kit()
    kit_of_its_own.install(app)
    app.get("/ask", dependencies=[Depends(dependency)])(lambda: None)
    return app


MAKERS: dict[str, tuple[Callable[..., Any], str]] = {
    "partial(require_fresh, ...)": (partial(require_fresh, 600), "require_fresh(600)"),
    "partial(kit.require, ...)": (partial(kit.require, role("admin")), 'kit.require(role("admin"))'),
    "partial(require, ...)": (partial(require, role("admin")), 'require(role("admin"))'),
    "partial(require_role, ...)": (partial(partial(require_role, "admin"), "editor"), 'require_role("admin")'),
    "partial(has_role, ...)": (partial(has_role, "admin"), 'has_role("admin")'),
    "partial(RouterGuard, ...)": (partial(RouterGuard, [Rule("/**")]), "RouterGuard(...)"),
    "partial(role, ...)": (partial(role, "admin"), 'require(role("admin"))'),
    "permission": (permission, 'require(permission("reports:read"))'),
    "partial(custom, ...)": (partial(custom, bool), "require(custom(...))"),
    "fresh": (fresh, "require(fresh(minutes=10))"),
    "admins_only": (admins_only, "admins_only(...)"),
    "editors": (editors, "require(editors(...))"),
    "admins": (Policy().admins, "admins(...)"),
}


@pytest.mark.parametrize("written", MAKERS)
def test_what_only_makes_a_dependency_fails_the_start_and_says_the_fix(written: str) -> None:
    maker, instead = MAKERS[written]
    name = written.removeprefix("partial(").partition(",")[0]

    with pytest.raises(ConfigurationError) as caught:
        start(guarded_by(maker))

    assert str(caught.value) == (
        f"/ask: Depends({written}) asks nothing, for {name} only makes a dependency: write Depends({instead})"
    )


def lambdas() -> dict[str, Any]:
    of_a_closure = app_kit()
    return {
        "require_role": lambda: require_role("admin"),
        "kit.require": lambda: kit.require(role("admin")),
        "kit.require_fresh": lambda: of_a_closure.require_fresh(600),
        "RouterGuard": partial(lambda _: RouterGuard([Rule("/**")]), "given"),
    }


@pytest.mark.parametrize("name", list(lambdas()))
def test_a_lambda_that_only_makes_a_dependency_fails_the_start(name: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"asks nothing, for {name} only makes a dependency: write Depends\({name}"
    ):
        start(guarded_by(lambdas()[name]))


def test_what_makes_a_dependency_fails_the_start_as_a_parameter_too() -> None:
    app = FastAPI()
    app_kit().install(app)

    @app.get("/ask")
    async def ask(admin: Annotated[bool, Depends(partial(has_role, "admin"))]) -> bool:
        return bool(admin)  # of a dependency, which is always true

    with pytest.raises(ConfigurationError, match=r"^/ask: Depends\(partial\(has_role, \.\.\.\)\) asks nothing"):
        start(app)


@pytest.mark.parametrize("requirement", [signed_in, role("admin"), role("admin") & fresh(60), custom(bool)])
def test_a_requirement_as_a_dependency_fails_the_start_and_says_the_fix(requirement: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        start(guarded_by(requirement))

    assert str(caught.value).startswith(f"/ask: {requirement} is a requirement, and")
    assert 'write Depends(require(...)), such as Depends(require(role("admin")))' in str(caught.value)


def test_a_requirement_as_a_dependency_lets_nobody_in_where_there_is_no_kit() -> None:
    app = FastAPI()
    requirement: Any = signed_in
    app.get("/ask", dependencies=[Depends(requirement)])(lambda: None)

    with client_of(app) as client, pytest.raises(ConfigurationError, match=r"^signed_in is a requirement"):
        client.get("/ask")


@pytest.mark.parametrize("name", ["set_session", "update_session", "clear_session", "regenerate_session"])
@pytest.mark.parametrize("of", ["module", "kit"])
def test_what_changes_the_session_is_no_dependency(name: str, of: str) -> None:
    change: Any = getattr(kit if of == "kit" else fastapi_sessionkit, name)
    written = f"kit.{name}" if of == "kit" else name

    for dependency in (change, partial(change)):
        with pytest.raises(ConfigurationError, match=rf"^/ask: {written} is no dependency.*: call {written}\(request"):
            start(guarded_by(dependency))


@pytest.mark.parametrize(
    "dependency", [partial(has_role("admin")), has_role("admin").__call__, partial(kit.is_authenticated)]
)
def test_an_answer_that_is_thrown_away_is_found_inside_of_a_partial(dependency: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"among dependencies=\[\.\.\.\] throws its answer away"):
        start(guarded_by(dependency))


# What is fine


def test_partials_and_lambdas_that_guard_are_fine() -> None:
    def of_the_request(connection: HTTPConnection, name: str) -> str:
        return connection.url.path + name

    app = FastAPI()
    own = app_kit()
    own.install(app)
    asked: list[Any] = [
        partial(require_session),
        partial(own.get_session),
        partial(of_the_request, name="!"),
        lambda: own,
    ]
    app.get("/ask", dependencies=[Depends(each) for each in asked])(lambda: None)

    with client_of(app) as client:
        assert client.get("/ask").status_code == 401
