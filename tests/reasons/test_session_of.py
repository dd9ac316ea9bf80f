"""The session from a plain function: there where it is loaded, and otherwise an error that says how to have it loaded."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

from fastapi_sessionkit import (
    ConfigurationError,
    RouterGuard,
    Rule,
    SessionKit,
    clear_session,
    require_role,
    require_session,
    session_of,
    session_reason,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import ADA, AppSession, RecordingStore, app_kit, application, client_of

ADVICE = r'kit\.install\(app, preload=\["/pages/\*\*"\]\)'


def name_of(request: Any) -> str:
    session = session_of(request)
    return "nobody" if session is None else session.user_id


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore()


@pytest.fixture
def kit(store: RecordingStore) -> SessionKit[AppSession]:
    return app_kit(backend=store)


def site(kit: SessionKit[AppSession], **options: Any) -> tuple[FastAPI, TestClient]:
    app = FastAPI()
    kit.install(app, **options)

    @app.get("/")
    @app.get("/{rest:path}")
    def page(request: Request, rest: str = "") -> str:
        return name_of(request)

    return app, signed_in(client_of(app), kit, ADA)


def test_without_anybody_who_loaded_it_the_error_says_what_to_write(kit: SessionKit[AppSession]) -> None:
    _, client = site(kit)

    with pytest.raises(ConfigurationError, match=ADVICE):
        client.get("/")
    client.cookies.clear()
    with pytest.raises(
        ConfigurationError, match=ADVICE
    ):  # for visitors too: a page that was tried by one must not break later
        client.get("/")


def test_the_error_names_the_function_that_was_called(kit: SessionKit[AppSession]) -> None:
    app, client = application(kit)

    @app.get("/{name}")
    def ask(request: Request, name: str) -> None:
        {"of": session_of, "reason": session_reason, "kit.of": kit.session_of, "kit.reason": kit.session_reason}[name](
            request
        )

    for name, said in {
        "of": "session_of",
        "reason": "session_reason",
        "kit.of": "kit.session_of",
        "kit.reason": "kit.session_reason",
    }.items():
        with pytest.raises(ConfigurationError, match=rf"^{said} was called"):
            client.get(f"/{name}")


@pytest.mark.parametrize("path", ["/pages", "/pages/42", "/pages/a/b"])
def test_preload_loads_it_on_its_paths(kit: SessionKit[AppSession], path: str) -> None:
    _, client = site(kit, preload=["/pages/**"])

    assert client.get(path).json() == "ada"
    client.cookies.clear()
    assert client.get(path).json() == "nobody"


def test_preload_asks_for_nothing_on_other_paths(kit: SessionKit[AppSession], store: RecordingStore) -> None:
    app = FastAPI()
    kit.install(app, preload=["/pages/**"])
    app.add_api_route("/{path:path}", lambda: None)
    client = signed_in(client_of(app), kit, ADA)
    store.calls.clear()

    assert "vary" not in client.get("/pagesandmore").headers
    assert store.calls == []
    assert client.get("/pages/1").headers["vary"] == "Cookie"
    assert store.calls == ["get"]


def test_preload_loads_once_beside_everything_else_that_asks(
    kit: SessionKit[AppSession], store: RecordingStore
) -> None:
    app = FastAPI()
    kit.install(app, guard=RouterGuard([Rule("/**", role="user")]), preload=["/**"])

    @app.get("/", dependencies=[Depends(require_role("user"))])
    def page(request: Request) -> str:
        return name_of(request)

    client = signed_in(client_of(app), kit, ADA)
    store.calls.clear()

    assert client.get("/").json() == "ada"
    assert store.calls == ["get"]


def test_preload_serves_websockets(kit: SessionKit[AppSession]) -> None:
    app = FastAPI()
    kit.install(app, preload=["/live/{room}"])

    @app.websocket("/live/{room}")
    async def live(websocket: WebSocket, room: str) -> None:
        await websocket.accept()
        await websocket.send_text(name_of(websocket))

    client = signed_in(client_of(app), kit, ADA)
    with client.websocket_connect("wss://testserver/live/1") as websocket:
        assert websocket.receive_text() == "ada"


def test_preload_on_a_mounted_application_goes_by_its_own_paths(kit: SessionKit[AppSession]) -> None:
    outer = FastAPI()
    inner, _ = site(kit, preload=["/pages/**"])
    outer.mount("/inner", inner)
    client = signed_in(client_of(outer), kit, ADA)

    assert client.get("/inner/pages/1").json() == "ada"
    with pytest.raises(ConfigurationError, match=ADVICE):
        client.get("/inner/other")


def test_where_the_store_fails_preload_answers_503(kit: SessionKit[AppSession], store: RecordingStore) -> None:
    _, client = site(kit, preload=["/pages/**"])
    store.broken.add("get")

    assert client.get("/pages/1").status_code == 503


@pytest.mark.parametrize("preload", ["/pages/**", ["pages"], ["/a*"], [1], None])
def test_what_is_no_list_of_patterns_is_refused(kit: SessionKit[AppSession], preload: Any) -> None:
    with pytest.raises(ConfigurationError):
        kit.install(FastAPI(), preload=preload)


def test_the_gate_loads_it_where_its_rule_asks_for_somebody(kit: SessionKit[AppSession]) -> None:
    _, client = site(kit, guard=RouterGuard([Rule("/members/**"), Rule("/open", public=True)]))

    assert client.get("/members/1").json() == "ada"
    with pytest.raises(ConfigurationError, match=ADVICE):
        client.get("/open")


def test_a_dependency_loads_it(kit: SessionKit[AppSession]) -> None:
    app, client = application(kit)
    router = APIRouter(dependencies=[Depends(require_session)])

    @router.get("/")
    def page(request: Request) -> str:
        return name_of(request)

    app.include_router(router)

    assert signed_in(client, kit, ADA).get("/").json() == "ada"


def test_it_shows_what_this_request_has_changed(kit: SessionKit[AppSession]) -> None:
    app, client = application(kit)

    @app.post("/{change}")
    def change(
        request: Request, change: str, session: Annotated[Any, Depends(kit.get_session)]
    ) -> tuple[str | None, str | None]:
        changes = {
            "in": lambda: set_session(request, AppSession(user_id="grace")),
            "note": lambda: update_session(request, note="seen"),
            "out": lambda: clear_session(request),
        }
        changes[change]()
        seen = kit.session_of(request)
        return (None, None) if seen is None else (seen.user_id, seen.note)

    signed_in(client, kit, ADA)

    assert client.post("/note").json() == ["ada", "seen"]
    assert client.post("/in").json() == ["grace", ""]
    assert client.post("/out").json() == [None, None]


def test_after_a_sign_in_it_is_there_although_nothing_was_loaded(kit: SessionKit[AppSession]) -> None:
    app, client = application(kit)

    @app.post("/in")
    def sign_in(request: Request) -> str:
        set_session(request, ADA)
        return name_of(request)

    assert client.post("/in").json() == "ada"


def test_a_middleware_has_it_once_the_endpoint_has_answered(kit: SessionKit[AppSession]) -> None:
    app, client = site(kit, preload=["/**"])
    seen: list[str] = []

    @app.middleware("http")
    async def note(request: Request, call_next: Any) -> Any:
        answer = await call_next(request)
        seen.append(name_of(request))
        return answer

    client.get("/")

    assert seen == ["ada"]


def test_an_exception_handler_says_why_nobody_is_signed_in(kit: SessionKit[AppSession]) -> None:
    app = FastAPI()
    kit.install(app, guard=RouterGuard(global_protect=True))

    @app.exception_handler(401)
    async def refused(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(f"{session_reason(request)}", 401)

    assert client_of(app).get("/").text == "no_cookie"


def test_with_two_kits_each_has_its_own(store: RecordingStore) -> None:
    staff, customers = app_kit(name="staff"), app_kit(name="customers")
    app = FastAPI()
    staff.install(app, preload=["/**"])
    customers.install(app, preload=["/**"])

    @app.get("/")
    def page(request: Request) -> list[bool]:
        with pytest.raises(ConfigurationError, match="more than one SessionKit"):
            session_of(request)
        return [kit.session_of(request) is None for kit in (staff, customers)]

    assert signed_in(client_of(app), staff, ADA).get("/").json() == [False, True]


def test_without_a_kit_the_error_says_how_to_install_one() -> None:
    app = FastAPI()

    @app.get("/")
    def page(request: Request) -> str:
        return name_of(request)

    with pytest.raises(ConfigurationError, match=r"kit\.install\(app\)"):
        client_of(app).get("/")
