"""A schema that is made by hand, and the scopes of ``Security``."""

import copy
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Security
from fastapi.openapi.utils import get_openapi
from fastapi.security import HTTPBearer
from openapi_spec_validator import OpenAPIV31SpecValidator

from fastapi_sessionkit import (
    ConfigurationError,
    CookieSettings,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    permission,
    require,
    require_role,
    require_session,
    role,
)
from tests.openapi.support import ADMIN, needs, operation, started
from tests.support import client_of, new_kit


def by_hand(app: Any) -> dict[str, Any]:
    return get_openapi(title="By hand", version="1", routes=app.routes)


def security_of(schema: dict[str, Any], path: str) -> Any:
    OpenAPIV31SpecValidator(copy.deepcopy(schema)).validate()
    return schema["paths"][path]["get"].get("security")


@pytest.fixture
def kit() -> SessionKit[Session]:
    return new_kit()


@pytest.fixture
def app(kit: SessionKit[Session]) -> FastAPI:
    app = FastAPI()
    kit.install(app, guard=RouterGuard([Rule("/ruled", role="admin"), Rule("/both", permission="p")]))

    @app.get("/session")
    async def session(session: Annotated[Session, Depends(kit.require_session)]) -> None: ...

    @app.get("/scoped")
    async def scoped(session: Annotated[Session, Security(kit.require_session, scopes=["reports"])]) -> None: ...

    @app.get("/role", dependencies=[Depends(require_role("admin"))])
    @app.get("/module", dependencies=[Depends(require_session)])
    @app.get("/both", dependencies=[Security(kit.require_role("admin"), scopes=["reports", "role:admin"])])
    @app.get("/either", dependencies=[Depends(require(role("a") | permission("b")))])
    @app.get("/ruled")
    @app.get("/open")
    async def endpoint() -> None: ...

    return app


def test_the_scopes_of_security_are_shown(app: FastAPI) -> None:
    assert operation(app, "/scoped")["security"] == [needs("reports")]
    assert operation(app, "/both")["security"] == [needs("permission:p", "role:admin", "reports")]


def test_scopes_are_of_every_alternative_and_of_none_that_is_open() -> None:
    app, kit = FastAPI(), new_kit()
    either = Security(require(role("a") | permission("b")), scopes=["reports"])
    app.get("/either", dependencies=[either])(lambda: None)
    kit.install(app)

    assert operation(app, "/either")["security"] == [needs("role:a", "reports"), needs("permission:b", "reports")]


def test_scopes_of_what_is_around_count_as_fastapi_counts_them(kit: SessionKit[Session]) -> None:
    async def around(session: Annotated[Session, Depends(kit.require_session)]) -> None: ...

    app = FastAPI()
    app.get("/scoped", dependencies=[Security(around, scopes=["reports"])])(lambda: None)
    kit.install(app)

    assert operation(app, "/scoped")["security"] == [needs("reports")]


def test_by_hand_a_schema_has_the_security_of_the_dependencies(app: FastAPI) -> None:
    started(app)  # ``require_session`` is one object for all applications, and is named after the last that started
    schema = by_hand(app)

    assert {path: security_of(schema, path) for path in schema["paths"]} == {
        "/session": [needs()],
        "/scoped": [needs("reports")],
        "/role": [needs()],
        "/module": [needs()],
        "/both": [needs("reports", "role:admin")],
        "/either": [needs()],
        "/ruled": None,
        "/open": None,
    }
    assert schema["components"]["securitySchemes"]["session_cookie"]["name"] == "__Host-session"


def test_by_hand_and_documented_a_schema_says_what_the_application_s_says(
    app: FastAPI, kit: SessionKit[Session]
) -> None:
    schema = by_hand(app)

    assert kit.document(schema) is schema
    assert schema["paths"] == app.openapi()["paths"]
    assert schema["components"]["securitySchemes"] == app.openapi()["components"]["securitySchemes"]
    assert security_of(schema, "/ruled") == [ADMIN]
    assert security_of(schema, "/open") is None


def test_what_is_documented_already_stays_the_same(app: FastAPI, kit: SessionKit[Session]) -> None:
    for schema in (app.openapi(), kit.document(by_hand(app))):
        assert kit.document(copy.deepcopy(schema)) == schema


def test_another_scheme_beside_the_session_is_needed_as_well(kit: SessionKit[Session]) -> None:
    app = FastAPI()
    app.get("/a", dependencies=[Depends(kit.require_role("admin")), Depends(HTTPBearer())])(lambda: None)
    kit.install(app)

    assert operation(app, "/a")["security"] == [{"HTTPBearer": [], **ADMIN}]


def test_the_cookie_s_name_is_that_of_the_kit_that_the_application_has() -> None:
    app, kit = FastAPI(), new_kit(cookie=CookieSettings(name="shop"))
    app.get("/a", dependencies=[Depends(require_session)])(lambda: None)
    app.get("/b", dependencies=[Depends(kit.require_session)])(lambda: None)
    kit.install(app)

    assert operation(app, "/a")["security"] == operation(app, "/b")["security"] == [{"shop_cookie": []}]
    assert set(app.openapi()["components"]["securitySchemes"]) == {"shop_cookie"}
    started(app)
    schema = by_hand(app)
    assert security_of(schema, "/a") == security_of(schema, "/b") == [{"shop_cookie": []}]
    assert schema["components"]["securitySchemes"]["shop_cookie"]["name"] == "__Host-shop"


def test_two_kits_are_both_in_a_schema_made_by_hand() -> None:
    one, two = (new_kit(name=name, cookie=CookieSettings(name=name)) for name in ("one", "two"))
    app = FastAPI()
    app.get("/a", dependencies=[Depends(one.require_role("admin")), Depends(two.require_session)])(lambda: None)
    one.install(app)
    two.install(app)

    schema = two.document(one.document(by_hand(app)))

    assert security_of(schema, "/a") == [{"one_cookie": ["role:admin"], "two_cookie": []}]
    assert schema["paths"] == app.openapi()["paths"]


def test_which_application_a_schema_is_of_is_said_where_there_are_several(kit: SessionKit[Session]) -> None:
    app, sub, other = FastAPI(), FastAPI(), FastAPI()
    sub.get("/a")(lambda: None)
    app.mount("/sub", sub)
    kit.install(app, guard=RouterGuard([Rule("/sub/a", role="admin")]))

    assert security_of(kit.document(by_hand(sub), sub), "/a") == [ADMIN]
    with pytest.raises(ConfigurationError, match=r"kit\.document\(schema, app\)"):
        kit.document(by_hand(other), other)
    kit.install(other)
    with pytest.raises(ConfigurationError, match=r"kit\.document\(schema, app\)"):
        kit.document(by_hand(app))
    assert security_of(kit.document(by_hand(sub), sub), "/a") == [ADMIN]


def test_a_kit_that_is_not_installed_documents_nothing() -> None:
    with pytest.raises(ConfigurationError, match="installed on"):
        new_kit().document(by_hand(FastAPI()))


def test_the_documentation_behind_a_login_says_what_is_required(app: FastAPI, kit: SessionKit[Session]) -> None:
    @app.get("/private.json", dependencies=[Depends(kit.require_session)], include_in_schema=False)
    async def private() -> dict[str, Any]:
        return kit.document(by_hand(app))

    client = client_of(app)

    assert client.get("/private.json").status_code == 401
