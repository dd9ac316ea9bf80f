"""``SessionKit``: what it refuses to be made of, where it may be installed, and that several get on with each other."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.testclient import TestClient
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

import fastapi_sessionkit
from fastapi_sessionkit import (
    ConfigurationError,
    CookieBackend,
    CookieSettings,
    Forbidden,
    MemoryStore,
    NotAuthenticated,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    SessionKitError,
    SessionRecord,
    StoreBackend,
    clear_session,
    get_session,
    get_session_info,
    has_permission,
    is_authenticated,
    regenerate_session,
    require_fresh,
    require_role,
    require_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.conftest import Clock

SECRET = "a secret of more than thirty-two characters"
OTHER = "another secret of more than thirty-two characters"


class AppSession(Session):
    tier: str = "free"


class Staff(Session):
    badge: int = 0


def made(**settings: Any) -> SessionKit[AppSession]:
    return SessionKit(AppSession, **{"secret_key": SECRET, **settings})


def browser(app: ASGIApp) -> TestClient:
    return TestClient(app, base_url="https://testserver")


def add_routes(app: FastAPI | APIRouter) -> None:
    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, AppSession(user_id="ada"))

    @app.get("/me")
    async def me(session: Annotated[Session | None, Depends(get_session)]) -> str | None:
        return None if session is None else session.user_id


# The secret key


@pytest.mark.parametrize(
    "key", ["", "short", "x" * 31, [], [""], [SECRET, "short"], (), b"x" * 40, [b"x" * 40], [None]]
)
def test_a_secret_key_that_is_missing_or_short_is_a_configuration_error_that_shows_how_to_make_one(key: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"secrets\.token_urlsafe"):
        SessionKit(secret_key=key)


def test_without_any_secret_key_the_error_names_the_environment_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"SESSIONKIT_SECRET_KEY.*secrets\.token_urlsafe"):
        SessionKit()


@pytest.mark.parametrize("value", ["", "short"])
def test_an_environment_variable_that_is_empty_or_short_does_not_do(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", value)

    with pytest.raises(ConfigurationError):
        SessionKit()


def test_the_error_about_a_secret_key_does_not_show_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SessionKit(secret_key="hunter2")

    assert "hunter2" not in str(caught.value)


def test_32_characters_do() -> None:
    assert SessionKit(secret_key="x" * 32).model is Session


def test_the_secret_key_comes_from_the_environment_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", SECRET)
    from_environment, given = SessionKit(AppSession), made()
    client = signed_in(browser(FastAPI()), from_environment, AppSession(user_id="ada"))

    assert session_of(client, given) == AppSession(user_id="ada")


def test_a_key_that_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", OTHER)
    client = signed_in(browser(FastAPI()), made(), AppSession(user_id="ada"))

    assert session_of(client, SessionKit(AppSession)) is None


@pytest.mark.parametrize("backend", [CookieBackend, lambda: CookieBackend(encrypt=True)], ids=["plain", "encrypted"])
def test_after_a_key_rotation_the_first_key_signs_and_all_verify(backend: Callable[[], CookieBackend]) -> None:
    old, both, new = (made(backend=backend(), secret_key=key) for key in (SECRET, [OTHER, SECRET], OTHER))
    ada, client = AppSession(user_id="ada"), browser(FastAPI())

    assert session_of(signed_in(client, old, ada), both) == ada
    assert session_of(signed_in(client, both, ada), new) == ada
    assert session_of(signed_in(client, both, ada), old) is None
    assert session_of(signed_in(client, old, ada), new) is None


# Everything else that it is made of


@pytest.mark.parametrize(
    "settings",
    [
        {"backend": "cookie"},
        {"backend": CookieBackend},
        {"backend": MemoryStore},
        {"cookie": "session"},
        {"access": lambda session: ["admin"]},
        {"idle_timeout": 0},
        {"idle_timeout": -1},
        {"idle_timeout": timedelta(0)},
        {"idle_timeout": float("nan")},
        {"idle_timeout": float("inf")},
        {"idle_timeout": "7 days"},
        {"idle_timeout": None},
        {"idle_timeout": True},
        {"absolute_timeout": 0},
        {"absolute_timeout": None},
        {"rotation_grace": -1},
        {"rotation_grace": "10"},
        {"trusted_origins": "https://a.example"},
        {"trusted_origins": ["a.example"]},
        {"trusted_origins": ["https://a.example/"]},
        {"trusted_origins": ["https://*.a.example"]},
        {"trusted_origins": ["*"]},
        {"trusted_origins": ["null"]},
        {"name": ""},
        {"name": "my kit"},
    ],
    ids=str,
)
def test_a_setting_that_can_not_work_is_a_configuration_error_at_construction(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        made(**settings)


@pytest.mark.parametrize("model", [dict, "Session", Session(user_id="u"), None])
def test_a_model_that_is_none_is_a_configuration_error(model: Any) -> None:
    with pytest.raises(ConfigurationError):
        SessionKit(model, secret_key=SECRET)


@pytest.mark.parametrize(
    "settings",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "a;b"},
        {"name": "a=b"},
        {"name": "__Host-session"},
        {"name": "__secure-session"},
        {"path": "app"},
        {"path": "/;Secure"},
        {"path": "/\r\nX: y"},
        {"domain": "a b"},
        {"domain": "example.com; Secure"},
        {"domain": ""},
        {"same_site": "Lax"},
        {"same_site": "none", "https_only": False},
    ],
    ids=str,
)
def test_a_cookie_setting_that_no_browser_would_take_is_a_configuration_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        CookieSettings(**settings)


def test_a_configuration_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="token_urlsafe"):
        SessionKit(secret_key="")


def test_a_store_may_be_given_instead_of_a_backend() -> None:
    store = MemoryStore()
    kit = made(backend=store)

    assert isinstance(kit.backend, StoreBackend)
    assert kit.backend.store is store


def test_a_class_is_no_store() -> None:
    with pytest.raises(ConfigurationError):
        StoreBackend(MemoryStore)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", [CookieBackend(), StoreBackend(MemoryStore())])
def test_a_backend_belongs_to_one_kit(backend: Any) -> None:
    made(backend=backend)

    with pytest.raises(ConfigurationError, match="another SessionKit"):
        made(backend=backend, name="second")


def test_the_kits_clock_is_the_clock_of_its_memory_store(clock: Clock) -> None:
    store = MemoryStore()
    made(backend=store, clock=clock)

    assert store.clock is clock


@pytest.mark.parametrize(("environment", "name"), [(None, "__Host-session"), ("development", "session"), ("production", "__Host-session")])  # fmt: skip
def test_only_in_development_the_cookie_may_travel_over_plain_http(
    environment: str | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment is not None:
        monkeypatch.setenv("FASTAPI_ENV", environment)

    assert made().cookie_name == name


# Where it may be installed


def test_install_may_come_before_routes_routers_and_middleware() -> None:
    app, router = FastAPI(), APIRouter(prefix="/nested")
    made().install(app)
    add_routes(app)
    add_routes(router)
    app.include_router(router)
    app.add_middleware(Passing)
    client = browser(app)

    client.post("/nested/login")

    assert [client.get("/me").json(), client.get("/nested/me").json()] == ["ada", "ada"]


def test_install_may_come_after_routes_routers_and_middleware() -> None:
    app, router = FastAPI(), APIRouter(prefix="/nested")
    add_routes(app)
    add_routes(router)
    app.include_router(router)
    app.add_middleware(Passing)
    made().install(app)
    client = browser(app)

    client.post("/nested/login")

    assert [client.get("/me").json(), client.get("/nested/me").json()] == ["ada", "ada"]


def test_routes_added_after_the_first_request_are_served_and_guarded_too() -> None:
    app = FastAPI()
    made().install(app, guard=RouterGuard([Rule("/late")]))
    client = browser(app)
    client.get("/late")

    app.add_api_route("/late", lambda: "late")
    add_routes(app)

    assert client.get("/late").status_code == 401
    client.post("/login")
    assert client.get("/late").json() == "late"


@pytest.mark.parametrize("first", ["install", "add_middleware"])
def test_every_other_middleware_is_around_it_whatever_the_order(first: str) -> None:
    """So it sees the refusals of the gate, and its own response headers are what the session's are added to."""
    app = FastAPI()
    steps: list[Callable[[], None]] = [
        lambda: made().install(app, guard=RouterGuard([Rule("/**")])),
        lambda: app.add_middleware(Passing),
    ]
    for step in steps if first == "install" else steps[::-1]:
        step()

    response = browser(app).get("/")

    assert (response.status_code, response.headers["x-passed"]) == (401, "401")


class Passing:
    """Middleware that says which status passed it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-passed", str(message["status"]).encode())]
            await send(message)

        await self.app(scope, receive, noting)


def test_a_kit_installs_on_plain_starlette() -> None:
    async def me(request: Request) -> PlainTextResponse:
        session = await get_session(request)
        return PlainTextResponse("nobody" if session is None else session.user_id)

    kit, app = made(), Starlette(routes=[Route("/me", me)])
    kit.install(app)
    client = browser(app)

    assert client.get("/me").text == "nobody"
    assert signed_in(client, kit, AppSession(user_id="ada")).get("/me").text == "ada"


@pytest.mark.parametrize("target", [APIRouter(), "app", None])
def test_install_takes_an_application(target: Any) -> None:
    with pytest.raises(ConfigurationError):
        made().install(target)


def test_install_takes_a_guard() -> None:
    with pytest.raises(ConfigurationError):
        made().install(FastAPI(), guard=[Rule("/admin")])  # type: ignore[arg-type]


def test_a_kit_is_installed_once_on_one_application() -> None:
    app, kit = FastAPI(), made()
    kit.install(app)

    with pytest.raises(ConfigurationError, match="already"):
        kit.install(app)


def test_a_kit_is_not_installed_on_an_application_that_has_started() -> None:
    app = FastAPI()
    browser(app).get("/")

    with pytest.raises(ConfigurationError, match="started"):
        made().install(app)


def test_the_store_is_closed_when_the_application_shuts_down() -> None:
    class Store(MemoryStore):
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    store, app = Store(), FastAPI()
    made(backend=store).install(app)

    with browser(app):
        before = store.closed

    assert (before, store.closed) == (0, 1)


# No kit


@pytest.mark.parametrize(
    "helper",
    [
        lambda request: set_session(request, AppSession(user_id="ada")),
        lambda request: update_session(request, tier="premium"),
        clear_session,
        regenerate_session,
    ],
    ids=["set_session", "update_session", "clear_session", "regenerate_session"],
)
def test_without_a_kit_every_helper_says_how_to_install_one(
    helper: Callable[[Request], None], request: pytest.FixtureRequest
) -> None:
    app = FastAPI()

    @app.post("/")
    async def change(request: Request) -> None:
        helper(request)

    with pytest.raises(ConfigurationError, match=rf"^{request.node.callspec.id}.*kit\.install\(app\)"):
        browser(app).post("/")


def test_a_kit_that_is_not_installed_says_so_though_another_is() -> None:
    app, installed, forgotten = FastAPI(), made(), made(name="forgotten")
    installed.install(app)

    @app.get("/", dependencies=[Depends(forgotten.require_session)])
    async def read() -> None: ...

    with pytest.raises(ConfigurationError, match="this SessionKit is not installed"):
        browser(app).get("/")


# Two kits on one application


@pytest.fixture
def customers() -> SessionKit[AppSession]:
    return made(name="customers", cookie=CookieSettings(name="customer"))


@pytest.fixture
def staff() -> SessionKit[Staff]:
    return SessionKit(Staff, secret_key=SECRET, name="staff", cookie=CookieSettings(name="staff"))


@pytest.fixture
def shared(customers: SessionKit[AppSession], staff: SessionKit[Staff]) -> FastAPI:
    app = FastAPI()
    customers.install(app)
    staff.install(app)

    @app.post("/customers")
    async def sign_customer_in(request: Request) -> None:
        customers.set_session(request, AppSession(user_id="ada"))

    @app.post("/staff")
    async def sign_staff_in(request: Request) -> None:
        staff.set_session(request, Staff(user_id="grace", badge=7))

    @app.post("/both")
    async def sign_both_in(request: Request) -> None:
        await sign_customer_in(request)
        await sign_staff_in(request)

    @app.delete("/staff")
    async def sign_staff_out(request: Request) -> None:
        staff.clear_session(request)

    @app.get("/who")
    async def who(
        customer: Annotated[AppSession | None, Depends(customers.get_session)],
        colleague: Annotated[Staff | None, Depends(staff.get_session)],
    ) -> list[str | None]:
        return [None if session is None else session.user_id for session in (customer, colleague)]

    return app


def test_two_kits_keep_two_sessions_apart(shared: FastAPI) -> None:
    client = browser(shared)

    client.post("/customers")
    alone = client.get("/who").json()
    client.post("/staff")
    together = client.get("/who").json()
    client.delete("/staff")

    assert [alone, together, client.get("/who").json()] == [["ada", None], ["ada", "grace"], ["ada", None]]


def test_two_kits_may_set_both_cookies_on_one_response(shared: FastAPI) -> None:
    client = browser(shared)

    response = client.post("/both")

    assert len(response.headers.get_list("set-cookie")) == 2
    assert client.get("/who").json() == ["ada", "grace"]


@pytest.mark.parametrize(
    "helper",
    [lambda request: set_session(request, AppSession(user_id="ada")), clear_session, regenerate_session],
    ids=["set_session", "clear_session", "regenerate_session"],
)
def test_with_two_kits_the_helpers_of_the_module_say_to_use_a_kits_own(
    shared: FastAPI, helper: Callable[[Request], None]
) -> None:
    @shared.post("/ambiguous")
    async def ambiguous(request: Request) -> None:
        helper(request)

    with pytest.raises(ConfigurationError, match=r"kit\.set_session"):
        browser(shared).post("/ambiguous")


# What makes a dependency is none itself


MAKERS = [
    "require_role",
    "require_permission",
    "require_any_permission",
    "require_fresh",
    "has_role",
    "has_permission",
    "has_all_permissions",
    "has_any_permission",
    "has_role_permission",
]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("of", ["module", "kit"])
def test_a_dependency_that_was_not_called_fails_the_start_and_the_error_says_what_to_write(name: str, of: str) -> None:
    app, kit = FastAPI(), made()
    app.get("/ask", dependencies=[Depends(getattr(kit if of == "kit" else fastapi_sessionkit, name))])(lambda: None)
    kit.install(app)

    with pytest.raises(
        ConfigurationError, match=rf"^/ask: Depends\((kit\.)?{name}\).*write Depends\(.*{name}\(.+\)\)$"
    ):
        start(app)


def test_the_limit_of_a_dependency_that_was_not_called_is_never_taken_from_the_query() -> None:
    app, sub, kit = FastAPI(), FastAPI(), made()
    sub.get("/ask", dependencies=[Depends(kit.require_fresh)])(lambda: None)
    app.mount("/sub", sub)
    kit.install(app)

    with pytest.raises(ConfigurationError, match=r"^/sub/ask: .*write Depends\(kit\.require_fresh\(600\)\)$"):
        browser(app).get("/sub/ask?max_age=1")


def test_a_function_of_one_s_own_may_have_the_name_of_one_that_makes_dependencies() -> None:
    def require_fresh(max_age: int) -> int:
        return max_age

    app = FastAPI()
    app.get("/ask")(lambda age=Depends(require_fresh): age)
    made().install(app)

    with browser(app) as client:
        assert client.get("/ask?max_age=1").json() == 1


# What two kits make ambiguous is said at startup


def start(app: ASGIApp) -> None:
    with browser(app):
        pass


ANY_KIT: dict[str, Callable[..., Any]] = {
    "get_session": get_session,
    "require_session": require_session,
    "get_session_info": get_session_info,
    "is_authenticated": is_authenticated,
    "<Required role:clerk>": require_role("clerk"),
    "<Required fresh:60s>": require_fresh(60),
    "<Asked permission:sell>": has_permission("sell"),
}


@pytest.mark.parametrize("name", ANY_KIT)
def test_with_two_kits_a_dependency_of_the_module_fails_the_start_naming_the_route(shared: FastAPI, name: str) -> None:
    shared.get("/ask/{x}", dependencies=[Depends(ANY_KIT[name])])(lambda: None)

    with pytest.raises(ConfigurationError, match=rf"^/ask/{{x}}: Depends\({name}\) can't tell .*kit\.require_role"):
        start(shared)


def test_with_two_kits_a_guard_of_a_router_fails_the_start_and_the_error_says_where_it_goes(shared: FastAPI) -> None:
    router = APIRouter(prefix="/r", dependencies=[Depends(RouterGuard([Rule("/r/**")]))])
    router.get("/x")(lambda: None)
    shared.include_router(router)

    with pytest.raises(ConfigurationError, match=r"^/r/x: Depends\(RouterGuard.*kit\.install\(app, guard="):
        start(shared)


def under_another_dependency(app: FastAPI) -> None:
    async def asks(session: Annotated[Session | None, Depends(get_session)]) -> None: ...

    app.get("/ask", dependencies=[Depends(asks)])(lambda: None)


def on_a_websocket(app: FastAPI) -> None:
    @app.websocket("/ask")
    async def ask(websocket: WebSocket, session: Annotated[Session | None, Depends(get_session)]) -> None: ...


def on_a_websocket_of_a_router(app: FastAPI) -> None:
    router = APIRouter(dependencies=[Depends(get_session)])

    @router.websocket("/ask")
    async def ask(websocket: WebSocket) -> None: ...

    app.include_router(router)


def on_a_frontend(app: FastAPI) -> None:
    router = APIRouter(dependencies=[Depends(get_session)])
    router.frontend("/ask", directory=".")
    app.include_router(router)


def on_a_mounted_application(app: FastAPI) -> None:
    sub = FastAPI()
    sub.get("/ask")(ask)
    app.mount("/sub", sub)


def on_a_mounted_application_that_shares_one_of_the_kits(app: FastAPI) -> None:
    sub = FastAPI()
    sub.get("/ask")(ask)
    services: Any = app.user_middleware[0].kwargs["services"]
    services.kit.install(sub)
    app.mount("/sub", sub)


async def ask(session: Annotated[Session | None, Depends(get_session)]) -> None: ...


@pytest.mark.parametrize(
    "place",
    [
        under_another_dependency,
        on_a_websocket,
        on_a_websocket_of_a_router,
        on_a_frontend,
        on_a_mounted_application,
        on_a_mounted_application_that_shares_one_of_the_kits,
    ],
)
def test_with_two_kits_a_dependency_of_the_module_is_found_wherever_it_stands(
    shared: FastAPI, place: Callable[[FastAPI], None]
) -> None:
    place(shared)

    with pytest.raises(ConfigurationError, match=r"^(/sub)?/ask(/\{path:path\})?: Depends\(get_session\)"):
        start(shared)


def test_with_two_kits_on_a_mounted_application_the_start_of_the_outer_one_fails(
    customers: SessionKit[AppSession], staff: SessionKit[Staff]
) -> None:
    app, sub = FastAPI(), FastAPI()
    customers.install(app)
    customers.install(sub)
    staff.install(sub)
    sub.get("/ask")(ask)
    app.mount("/sub", sub)

    with pytest.raises(ConfigurationError, match=r"^/sub/ask: "):
        start(app)


def test_with_one_kit_of_its_own_a_mounted_application_may_use_the_names_of_the_module(shared: FastAPI) -> None:
    sub = FastAPI()
    sub.get("/ask")(ask)
    made(name="own", cookie=CookieSettings(name="own")).install(sub)
    shared.mount("/sub", sub)

    with browser(shared) as client:
        assert client.get("/sub/ask").status_code == 200


def test_with_two_kits_a_dependency_of_the_module_may_be_overridden_by_a_kits_own(
    shared: FastAPI, customers: SessionKit[AppSession]
) -> None:
    shared.get("/ask")(ask)
    shared.dependency_overrides[get_session] = customers.get_session

    with browser(shared) as client:
        assert client.get("/ask").status_code == 200


def test_with_two_kits_what_an_overridden_dependency_depends_on_does_not_count(shared: FastAPI) -> None:
    async def current_user(session: Annotated[Session | None, Depends(get_session)]) -> str:
        return "nobody"

    @shared.get("/ask")
    async def who(user: Annotated[str, Depends(current_user)]) -> str:
        return user

    shared.dependency_overrides[current_user] = lambda: "ada"

    with browser(shared) as client:
        assert client.get("/ask").json() == "ada"


def test_with_two_kits_and_no_lifespan_every_request_fails_not_only_the_first(shared: FastAPI) -> None:
    shared.get("/ask")(ask)
    client = browser(shared)

    for _ in range(3):
        with pytest.raises(ConfigurationError, match=r"^/ask: "):
            client.get("/who")


def test_with_two_kits_a_dependency_of_the_module_that_is_added_late_fails_its_request(shared: FastAPI) -> None:
    with browser(shared) as client:
        shared.get("/ask")(ask)

        with pytest.raises(ConfigurationError, match=r"^get_session can't tell"):
            client.get("/ask")


def test_a_customers_token_is_nobody_among_the_staff(
    shared: FastAPI, customers: SessionKit[AppSession], staff: SessionKit[Staff]
) -> None:
    client = signed_in(browser(shared), customers, AppSession(user_id="ada"))
    token = client.cookies[customers.cookie_name]

    client.cookies.set(staff.cookie_name, token, domain="testserver.local", path="/")

    assert client.get("/who").json() == ["ada", None]


def test_two_kits_on_one_application_need_two_cookies(customers: SessionKit[AppSession]) -> None:
    app = FastAPI()
    customers.install(app)

    with pytest.raises(ConfigurationError, match="cookie"):
        made(name="other", cookie=CookieSettings(name="customer")).install(app)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CookieSettings(name="session"), CookieSettings(name="session", https_only=False)),
        (CookieSettings(name="my!s"), CookieSettings(name="my_s")),
    ],
)
def test_two_kits_whose_cookies_openapi_could_not_tell_apart_do_not_share_an_application(
    one: CookieSettings, other: CookieSettings
) -> None:
    app = FastAPI()
    made(cookie=one).install(app)

    with pytest.raises(ConfigurationError, match=r"OpenAPI can't tell the cookie .*CookieSettings\(name="):
        made(name="staff", cookie=other).install(app)


def test_set_session_of_a_kit_takes_its_own_model_only(shared: FastAPI, staff: SessionKit[Staff]) -> None:
    @shared.post("/wrong")
    async def wrong(request: Request) -> None:
        staff.set_session(request, AppSession(user_id="ada"))  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="Staff"):
        browser(shared).post("/wrong")


# Mounted sub-applications


def mounted(kit: SessionKit[Any], sub_kit: SessionKit[Any] | None, **guards: RouterGuard) -> FastAPI:
    app, sub = FastAPI(), FastAPI()
    add_routes(app)
    add_routes(sub)
    kit.install(app, guard=guards.get("guard"))
    if sub_kit is not None:
        sub_kit.install(sub, guard=guards.get("sub_guard"))
    app.mount("/sub", sub)
    return app


def test_a_sub_application_without_a_kit_sees_the_session_of_the_one_around_it() -> None:
    client = browser(mounted(made(), None))

    client.post("/sub/login")

    assert [client.get("/me").json(), client.get("/sub/me").json()] == ["ada", "ada"]


def test_the_same_kit_on_both_applications_is_one_session_and_one_cookie() -> None:
    kit = made()
    client = browser(mounted(kit, kit))

    response = client.post("/sub/login")

    assert len(response.headers.get_list("set-cookie")) == 1
    assert [client.get("/me").json(), client.get("/sub/me").json()] == ["ada", "ada"]


def test_the_same_kit_on_both_applications_enforces_both_guards() -> None:
    kit = made()
    guards = {"guard": RouterGuard([Rule("/sub/a")]), "sub_guard": RouterGuard([Rule("/b")])}
    client = browser(mounted(kit, kit, **guards))

    assert [client.get(f"/sub/{path}").status_code for path in "abc"] == [401, 401, 404]


def test_the_same_kit_on_both_applications_loads_once() -> None:
    class Store(MemoryStore):
        reads = 0

        async def get(self, key: str) -> Any:
            self.reads += 1
            return await super().get(key)

    store = Store()
    kit = made(backend=store)
    client = browser(mounted(kit, kit, guard=RouterGuard([Rule("/**")]), sub_guard=RouterGuard([Rule("/**")])))
    signed_in(client, kit, AppSession(user_id="ada"))
    store.reads = 0

    client.get("/sub/me")

    assert store.reads == 1


def test_a_sub_application_with_a_kit_of_its_own_has_a_session_of_its_own() -> None:
    own = made(name="own", cookie=CookieSettings(name="own"))
    client = browser(mounted(made(), own))

    client.post("/sub/login")

    assert [client.get("/me").json(), client.get("/sub/me").json()] == [None, "ada"]


def test_a_sub_application_with_a_kit_of_its_own_still_reaches_the_one_around_it_by_name() -> None:
    outer, own = made(), made(name="own", cookie=CookieSettings(name="own"))
    app, sub = FastAPI(), FastAPI()
    outer.install(app)
    own.install(sub)
    app.mount("/sub", sub)

    @sub.get("/who")
    async def who(session: Annotated[AppSession, Depends(outer.require_session)]) -> str:
        return session.user_id

    client = signed_in(browser(app), outer, AppSession(user_id="ada"))

    assert client.get("/sub/who").json() == "ada"


def test_what_a_sub_application_asks_does_not_leak_into_the_next_request() -> None:
    own = made(name="own", cookie=CookieSettings(name="own"))
    client = browser(mounted(made(), own))

    client.post("/sub/login")
    client.post("/login")
    client.cookies.delete("__Host-own")

    assert [client.get("/me").json(), client.get("/sub/me").json()] == ["ada", None]


def test_with_two_kits_on_a_sub_application_the_names_of_the_module_raise_though_one_is_around_it_too() -> None:
    outer, own = made(), made(name="own", cookie=CookieSettings(name="own"))
    app, sub = FastAPI(), FastAPI()
    outer.install(app)
    outer.install(sub)
    own.install(sub)
    add_routes(sub)
    app.mount("/sub", sub)

    with pytest.raises(ConfigurationError, match="more than one"):
        browser(app).get("/sub/me")


def test_two_applications_of_one_starlette_keep_their_kits_apart() -> None:
    kits = [made(name=name, cookie=CookieSettings(name=name)) for name in ("one", "two")]
    apps = [FastAPI(), FastAPI()]
    for kit, app in zip(kits, apps, strict=True):
        kit.install(app)
        add_routes(app)
    client = browser(Starlette(routes=[Mount(f"/{number}", app) for number, app in enumerate(apps)]))

    client.post("/1/login")

    assert [client.get("/0/me").json(), client.get("/1/me").json()] == [None, "ada"]


# The errors


def test_every_error_has_one_root_and_refusals_are_http_exceptions() -> None:
    assert issubclass(NotAuthenticated, SessionKitError)
    assert (NotAuthenticated().status_code, Forbidden().status_code) == (401, 403)


def test_an_application_may_answer_refusals_itself() -> None:
    app = FastAPI()
    made().install(app, guard=RouterGuard([Rule("/guarded")]))

    @app.exception_handler(NotAuthenticated)
    async def sign_in_first(request: Request, error: Exception) -> Response:
        return PlainTextResponse("sign in first", 418)

    @app.get("/asked")
    async def asked(request: Request) -> None:
        raise NotAuthenticated

    client = browser(app)

    assert [client.get(path).status_code for path in ("/guarded", "/asked")] == [418, 418]


def test_a_mounted_application_whose_kit_uses_the_same_cookie_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    outer, inner = FastAPI(), FastAPI()
    SessionKit(secret_key="x" * 32).install(outer)
    SessionKit(secret_key="x" * 32).install(inner)
    outer.mount("/staff", inner)

    with caplog.at_level(logging.WARNING), TestClient(outer):
        pass

    assert "Another SessionKit on a mounted application uses the cookie '__Host-session'" in caplog.text


def test_an_application_that_is_mounted_on_itself_starts() -> None:
    app = FastAPI()
    app.get("/ask")(ask)
    made().install(app)
    app.mount("/api", app)

    with browser(app) as client:
        assert [client.get(path).status_code for path in ("/ask", "/api/ask")] == [200, 200]


def test_applications_that_are_mounted_on_each_other_start(caplog: pytest.LogCaptureFixture) -> None:
    app, other = FastAPI(), FastAPI()
    app.get("/ask")(ask)
    made().install(app)
    app.mount("/other", other)
    other.mount("/app", app)

    with browser(app) as client:
        assert [client.get(path).status_code for path in ("/ask", "/other/app/ask")] == [200, 200]
    assert "Another SessionKit" not in caplog.text


def test_with_two_kits_on_applications_that_are_mounted_on_each_other_the_start_fails(shared: FastAPI) -> None:
    other = FastAPI()
    other.get("/ask")(ask)
    shared.mount("/other", other)
    other.mount("/app", shared)

    with pytest.raises(ConfigurationError, match=r"^/other/ask: "):
        start(shared)


def test_signing_out_of_a_store_that_is_full_works() -> None:
    class Full(MemoryStore):
        async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
            raise OSError("no space left")

    kit = SessionKit(secret_key="x" * 32, backend=Full())
    app = FastAPI()
    kit.install(app)

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)

    client = signed_in(TestClient(app, base_url="https://testserver"), kit, Session(user_id="ada"))
    token = client.cookies[kit.cookie_name]

    assert client.post("/logout").status_code == 200
    client.cookies.set(kit.cookie_name, token, domain="testserver.local", path="/")
    assert session_of(client, kit) is None


def test_a_helper_in_a_handler_of_an_unhandled_error_says_that_it_comes_too_late() -> None:
    kit = SessionKit(secret_key="x" * 32)
    app = FastAPI()
    kit.install(app)
    said: list[str] = []

    @app.exception_handler(Exception)
    async def handler(request: Request, error: Exception) -> JSONResponse:
        try:
            clear_session(request)
        except SessionKitError as late:
            said.append(str(late))
        return JSONResponse({}, 400)

    @app.get("/")
    async def endpoint() -> None:
        raise RuntimeError

    client = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)
    client.get("/")

    assert len(said) == 1
    assert "came too late" in said[0]


@pytest.mark.parametrize("secret", [SecretStr("x" * 32), [SecretStr("x" * 32), "y" * 32]])
def test_a_secret_key_may_be_what_pydantic_settings_gives(secret: Any) -> None:
    assert SessionKit(secret_key=secret).cookie_name == "__Host-session"


@pytest.mark.parametrize("secret", [5, [5], {"x" * 32}, " " * 40, ("x" * 32, None)])
def test_a_secret_key_of_another_kind_is_refused(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="secret_key"):
        SessionKit(secret_key=secret)


@pytest.mark.parametrize("https_only", ["false", 0, 1])
def test_https_only_is_true_or_false(https_only: Any) -> None:
    with pytest.raises(ConfigurationError, match="https_only"):
        CookieSettings(https_only=https_only)


def signed_in_browser(guard: RouterGuard) -> TestClient:
    kit = SessionKit(secret_key=SECRET)
    app = FastAPI()
    kit.install(app, guard=guard)
    for path in ("/", "/login"):
        app.add_api_route(path, lambda: "here")
    client = TestClient(app, base_url="https://testserver", follow_redirects=False, headers={"accept": "text/html"})
    return signed_in(client, kit, Session(user_id="ada", role="user"))


@pytest.mark.parametrize(
    "settings",
    [{"exclude": ["/login"]}, {"protect": [Rule("/login", public=True)]}, {"protect": [Rule("/login", role="user")]}],
)
def test_a_login_page_that_a_rule_or_exclude_names_is_shown_to_who_is_signed_in(settings: Any) -> None:
    guard = RouterGuard(**settings, login_path="/login", global_protect=True)

    assert signed_in_browser(guard).get("/login").status_code == 200


@pytest.mark.parametrize("target", ["/login", "/login?denied=1", "/login#denied"])
def test_home_and_the_login_page_never_send_a_browser_in_circles(target: str) -> None:
    rules = [Rule("/", role="admin", redirect_to=target)]
    browser = signed_in_browser(RouterGuard(protect=rules, login_path="/login", global_protect=True))

    assert browser.get("/").status_code == 403


@pytest.mark.anyio
async def test_a_handshake_that_is_refused_without_a_response_leaves_the_id_where_the_cookie_is() -> None:
    """Such a server can send no cookie, so a move to a new id would sign the visitor out."""
    kit = SessionKit(secret_key=SECRET, backend=MemoryStore())
    app = FastAPI()
    kit.install(app)

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await kit.require_session(websocket)
        update_session(websocket, role="admin")
        raise HTTPException(403)

    client = signed_in(TestClient(app, base_url="https://testserver"), kit, Session(user_id="ada", role="user"))
    cookie = f"{kit.cookie_name}={client.cookies[kit.cookie_name]}".encode()
    scope = {"type": "websocket", "path": "/ws", "scheme": "wss", "query_string": b"", "headers": [(b"cookie", cookie)]}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    session = session_of(client, kit)

    assert [message["type"] for message in sent] == ["websocket.close"]
    assert session is not None
    assert session.role == "user"
