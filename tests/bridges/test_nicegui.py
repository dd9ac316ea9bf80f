"""NiceGUI run with an application that has a kit: its storage, its pages and their events."""

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from starlette.middleware import Middleware

from fastapi_sessionkit import (
    RouterGuard,
    Rule,
    Session,
    SessionKitError,
    clear_session,
    get_session,
    require_role,
    session_of,
    set_session,
)
from tests.bridges.documented import documented
from tests.support import COOKIE, SECRET, client_of, new_kit

MAPPING = "__Host-request_session"


@pytest.fixture(scope="module")
def imported() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("nicegui", reason="NiceGUI is not installed")


@pytest.fixture
def nicegui(imported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The library as if it had just been imported: it has one application and one storage a process."""
    from nicegui.storage import Storage
    from nicegui.testing.general import nicegui_reset_globals

    monkeypatch.setattr(Storage, "path", tmp_path)
    with nicegui_reset_globals():
        imported.app.storage = Storage()
        yield imported


def run_with_a_kit(nicegui: Any, *, own: bool = False, **options: Any) -> TestClient:
    """A client of an application that NiceGUI runs with; ``own``: with a session middleware of its own."""
    from nicegui.storage import RequestTrackingMiddleware

    app = FastAPI()
    new_kit().install(app, request_session=True, **options)

    @app.post("/login/{user_id}")
    async def login(request: Request, user_id: str) -> None:
        set_session(request, Session(user_id=user_id, role="admin"))

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)
        request.session.clear()

    @app.get("/read")
    async def read(request: Request) -> dict[str, Any]:
        return request.session

    if own:
        nicegui.ui.run_with(app, storage_secret=SECRET, show_welcome_message=False)
    else:
        nicegui.app.user_middleware.append(Middleware(RequestTrackingMiddleware))
        nicegui.ui.run_with(app, show_welcome_message=False)
    return client_of(app)


def counting_page(nicegui: Any) -> None:
    @nicegui.ui.page("/count")  # type: ignore[untyped-decorator]
    async def count(request: Request) -> None:
        session, storage = await get_session(request), nicegui.app.storage
        for place in (storage.user, storage.browser):
            place["visits"] = place.get("visits", 0) + 1
        who = None if session is None else session.user_id
        nicegui.ui.label(f"seen: {who} {storage.user['visits']} {storage.browser['visits']}")


def seen(client: TestClient, path: str = "/count") -> str:
    return re.findall(r"seen: ([^\"]+)\"", client.get(path).text)[0]


def click(nicegui: Any, client: TestClient) -> None:
    """What NiceGUI does when the browser says by its WebSocket that the one button of the page was clicked."""
    (page,) = nicegui.Client.instances.values()
    button = next(element for element in page.elements.values() if isinstance(element, nicegui.ui.button))
    (listener,) = button._event_listeners  # noqa: SLF001 (what the browser was told)
    assert client.portal is not None
    client.portal.call(page.handle_event, {"id": button.id, "listener_id": listener, "args": []})


@pytest.mark.parametrize(("own", "cookie"), [(False, MAPPING), (True, "session")])
def test_its_storage_is_kept_for_a_browser(nicegui: Any, own: bool, cookie: str) -> None:
    counting_page(nicegui)
    with run_with_a_kit(nicegui, own=own) as client:
        assert [seen(client), seen(client)] == ["None 1 1", "None 2 2"]
        assert list(client.cookies) == [cookie]

        client.post("/login/ada")

        assert seen(client) == "ada 3 3"
        assert seen(client_of(client.app)) == "None 1 1"


def test_its_browser_storage_is_the_kits_mapping(nicegui: Any) -> None:
    counting_page(nicegui)
    with run_with_a_kit(nicegui) as client:
        client.get("/count")

        assert client.get("/read").json().items() >= {"visits": 1}.items()


def test_a_middleware_of_its_own_leaves_the_kits_mapping_alone(nicegui: Any) -> None:
    counting_page(nicegui)
    with run_with_a_kit(nicegui, own=True) as client:
        client.get("/count")

        assert client.get("/read").json() == {}


def test_whoever_signs_in_next_at_that_browser_has_another_storage(nicegui: Any) -> None:
    counting_page(nicegui)
    with run_with_a_kit(nicegui) as client:
        client.post("/login/ada")
        client.get("/count")
        client.post("/logout")
        client.post("/login/bob")

        assert seen(client) == "bob 1 1"


def test_a_page_takes_the_kits_dependencies(nicegui: Any) -> None:
    @nicegui.ui.page("/admins")  # type: ignore[untyped-decorator]
    async def admins(session: Annotated[Session, Depends(require_role("admin"))]) -> None:
        nicegui.ui.label(f"seen: {session.user_id}")

    with run_with_a_kit(nicegui) as client:
        assert client.get("/admins").status_code == 401

        client.post("/login/ada")

        assert seen(client, "/admins") == "ada"


def test_a_rule_guards_a_page(nicegui: Any) -> None:
    counting_page(nicegui)
    with run_with_a_kit(nicegui, guard=RouterGuard(protect=[Rule("/count", role="admin")])) as client:
        assert client.get("/count").status_code == 401

        client.post("/login/ada")

        assert seen(client) == "ada 1 1"


def page_with_a_button(nicegui: Any, handler: Callable[[Request], Any]) -> list[Any]:
    """A page whose button calls a handler, and what came of that."""
    came: list[Any] = []

    @nicegui.ui.page("/button")  # type: ignore[untyped-decorator]
    async def button(request: Request) -> None:
        await get_session(request)

        def clicked() -> None:
            try:
                came.append(handler(request))
            except Exception as error:  # noqa: BLE001 (NiceGUI only logs it)
                came.append(error)

        nicegui.ui.button("Click me", on_click=clicked)

    return came


def test_an_event_reads_the_session_and_writes_the_storage_of_the_server(nicegui: Any) -> None:
    def handler(request: Request) -> Any:
        nicegui.app.storage.user["clicked"] = True
        session = session_of(request)
        return [session and session.user_id, nicegui.app.storage.user["clicked"], nicegui.app.storage.browser["id"]]

    came = page_with_a_button(nicegui, handler)
    with run_with_a_kit(nicegui) as client:
        client.post("/login/ada")
        client.get("/button")
        click(nicegui, client)

        assert came == [["ada", True, client.get("/read").json()["id"]]]


LATE: dict[str, Callable[[Request], Any]] = {
    "mapping": lambda request: request.session.update(late=1),
    "sign-in": lambda request: set_session(request, Session(user_id="bob")),
    "sign-out": clear_session,
}


@pytest.mark.parametrize("change", LATE.values(), ids=LATE.keys())
def test_an_event_comes_too_late_to_change_a_cookie(nicegui: Any, change: Callable[[Request], Any]) -> None:
    came = page_with_a_button(nicegui, change)
    with run_with_a_kit(nicegui) as client:
        client.post("/login/ada")
        client.get("/button")
        click(nicegui, client)

        assert isinstance(came[0], SessionKitError)
        assert "too late" in str(came[0])
        assert COOKIE in client.cookies


def test_what_is_documented_counts_a_users_visits(nicegui: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    app: FastAPI = documented("test_nicegui.py", monkeypatch)["app"]

    @app.router.post("/login")
    async def login(request: Request) -> None:
        set_session(request, Session(user_id="ada"))

    app.router.routes.insert(0, app.router.routes.pop())  # before NiceGUI, which is mounted at /
    with client_of(app) as client:
        assert client.get("/").status_code == 401

        client.post("/login")
        client.get("/")

        assert "ada, visit 2" in client.get("/").text

        client.post("/logout")
        client.post("/login")

        assert "ada, visit 1" in client.get("/").text
