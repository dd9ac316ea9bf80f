"""gradio mounted on an application with a kit: who may use it, what its functions find, and its own login button."""

import asyncio
import gc
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import RouterGuard, Rule, Session, clear_session, get_session, session_of, set_session
from tests.bridges.documented import documented
from tests.support import client_of, new_kit

EVIL = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
API = "/ui/gradio_api"

pytestmark = [
    # What gradio asks of pandas, which wants to be asked differently.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio"),
    # It makes event loops for its locks, and closes none.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture(scope="module")
def gradio() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("HF_HUB_OFFLINE", "1")
        warnings.simplefilter("ignore")
        yield pytest.importorskip("gradio", reason="gradio is not installed")


@pytest.fixture(autouse=True)
def _no_loop_for_the_next_test() -> Iterator[None]:
    yield
    asyncio.set_event_loop(None)
    gc.collect()


async def signed_in_user(request: Request) -> str | None:
    session = await get_session(request)
    return None if session is None else session.user_id


def signed_in_user_at_once(request: Request) -> str | None:
    session = session_of(request)
    return None if session is None else session.user_id


@contextmanager
def mounted(
    gradio: Any, blocks: Any, user: Callable[[Any], Any] | None = signed_in_user, **options: Any
) -> Iterator[TestClient]:
    """A client of an application that has a page of gradio at ``/ui``."""
    app = FastAPI()
    new_kit().install(app, request_session=True, **options)

    @app.post("/login/{user_id}")
    async def login(request: Request, user_id: str) -> None:
        set_session(request, Session(user_id=user_id))
        request.session["theme"] = "dark"

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)
        request.session.clear()

    @app.get("/read")
    async def read(request: Request) -> dict[str, Any]:
        return request.session

    gradio.mount_gradio_app(app, blocks, "/ui", auth_dependency=user, ssr_mode=False)
    with client_of(app) as client:
        yield client


def page(gradio: Any, function: Callable[..., Any]) -> Any:
    """A page of one field and one button, which calls the function."""
    function.__annotations__["request"] = gradio.Request
    with gradio.Blocks(analytics_enabled=False) as blocks:
        field = gradio.Textbox()
        gradio.Button().click(function, field, gradio.Textbox(), api_name="call")
    return blocks


def seen_from_a_function(text: str, request: Any) -> str:
    session = session_of(request.request)
    return f"{text}: {request.username}, {session and session.user_id}, {dict(request.request.session)}"


def queued(client: TestClient, text: str) -> Any:
    """What the function gave, called as the page calls it: by the queue, after the response to the click."""
    joined = client.post(f"{API}/queue/join", json={"data": [text], "fn_index": 0, "session_hash": "tab"})

    assert joined.status_code == 200
    with client.stream("GET", f"{API}/queue/data?session_hash=tab") as stream:
        messages = [json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line]
    completed = next(message for message in messages if message["msg"] == "process_completed")
    return completed["output"].get("data", completed["output"])


@pytest.mark.parametrize(
    ("user", "options"), [(signed_in_user, {}), (signed_in_user_at_once, {"preload": ["/ui", "/ui/**"]})]
)
def test_only_who_is_signed_in_by_the_kit_uses_it(gradio: Any, user: Any, options: dict[str, Any]) -> None:
    with mounted(gradio, page(gradio, seen_from_a_function), user, **options) as client:
        assert client.get("/ui/config").status_code == 401
        assert client.post(f"{API}/run/call", json={"data": ["hi"]}).status_code == 401

        client.post("/login/ada")

        assert client.get("/ui/config").status_code == 200
        assert client.get("/ui/").headers["cache-control"] == "private, no-cache"

        client.post("/logout")

        assert client.get("/ui/config").status_code == 401


@pytest.mark.parametrize("how", ["queued", "at once"])
def test_a_function_finds_who_is_signed_in_and_the_mapping(gradio: Any, how: str) -> None:
    with mounted(gradio, page(gradio, seen_from_a_function)) as client:
        client.post("/login/ada")
        if how == "queued":
            given = queued(client, "hi")
        else:
            given = client.post(f"{API}/run/call", json={"data": ["hi"]}).json()["data"]

        assert given == ["hi: ada, ada, {'theme': 'dark'}"]


def test_a_function_of_the_queue_comes_too_late_to_change_the_mapping(gradio: Any) -> None:
    def change(text: str, request: Any) -> str:
        request.request.session["late"] = text
        return text

    with mounted(gradio, page(gradio, change)) as client:
        client.post("/login/ada")

        assert "too late" in str(queued(client, "hi"))
        assert client.get("/read").json() == {"theme": "dark"}


def test_no_other_site_calls_a_function_in_somebodys_name(gradio: Any) -> None:
    with mounted(gradio, page(gradio, seen_from_a_function)) as client:
        client.post("/login/ada")

        assert client.post(f"{API}/run/call", json={"data": ["hi"]}, headers=EVIL).status_code == 403


def test_a_rule_guards_it_without_a_function_for_gradio(gradio: Any) -> None:
    guard = RouterGuard(protect=[Rule("/ui/**", role="admin")])
    with mounted(gradio, page(gradio, seen_from_a_function), None, guard=guard) as client:
        assert client.get("/ui/").status_code == 401
        client.post("/login/ada")
        assert client.get("/ui/config").status_code == 403
        assert client.post(f"{API}/run/call", json={"data": ["hi"]}).status_code == 403


@pytest.mark.filterwarnings("ignore:Gradio does not support OAuth features outside of a Space:UserWarning")
def test_its_login_button_keeps_who_that_is_in_a_session_of_its_own(
    gradio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = {"userinfo": {"preferred_username": "hugo", "name": "Hugo", "profile": "", "picture": ""}}
    monkeypatch.setattr(f"{gradio.__name__}.oauth._get_mocked_oauth_info", lambda: info)

    def profile(text: str, profile: Any, request: Any) -> str:
        return f"{text}: {profile and profile.username}, {request.username}"

    profile.__annotations__["profile"] = gradio.OAuthProfile | None
    profile.__annotations__["request"] = gradio.Request
    with gradio.Blocks(analytics_enabled=False) as blocks:
        field = gradio.Textbox()
        gradio.Button().click(profile, field, gradio.Textbox(), api_name="call")
        gradio.LoginButton()
    with mounted(gradio, blocks) as client:
        client.post("/login/ada")

        assert client.post(f"{API}/run/call", json={"data": ["hi"]}).json()["data"] == ["hi: None, ada"]

        client.get("/ui/login/callback")

        assert client.post(f"{API}/run/call", json={"data": ["hi"]}).json()["data"] == ["hi: hugo, ada"]
        assert client.get("/read").json() == {"theme": "dark"}


def test_a_dependency_that_refuses_by_itself_does(gradio: Any) -> None:
    async def admins_only(request: Request) -> str:
        session = await get_session(request)
        if session is None or not session.has_role("admin"):
            raise HTTPException(403)
        return session.user_id

    with mounted(gradio, page(gradio, seen_from_a_function), admins_only) as client:
        client.post("/login/ada")

        assert client.get("/ui/config").status_code == 403


def test_what_is_documented_greets_who_is_signed_in(gradio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    app: FastAPI = documented("test_gradio.py", monkeypatch)["app"]

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, Session(user_id="ada", email="ada@example.com"))

    with client_of(app) as client:
        assert client.post(f"{API}/run/greet", json={"data": ["you"]}).status_code == 401

        client.post("/login")
        answer = client.post(f"{API}/run/greet", json={"data": ["you"]}).json()

        assert answer["data"] == ["Hello you, says ada, ada@example.com"]
