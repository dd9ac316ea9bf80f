"""``kit.install(app, request_session=True)``: the mapping that libraries for Starlette want."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import Mount, Route

from fastapi_sessionkit import (
    ConfigurationError,
    CookieSettings,
    NotAuthenticated,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    SessionKitError,
    SessionTooLarge,
    get_session,
    set_session,
)
from fastapi_sessionkit.cli.discovery import find
from tests.support import COOKIE, SECRET, Clock, client_of, new_kit

MAPPING = "__Host-request_session"


def mapped(kit: SessionKit[Any] | None = None, **options: Any) -> tuple[FastAPI, TestClient]:
    app = FastAPI()
    (kit or new_kit()).install(app, **{"request_session": True, **options})

    @app.get("/read")
    async def read(request: Request) -> dict[str, Any]:
        return dict(request.session)

    @app.post("/set/{key}/{value}")
    async def change(request: Request, key: str, value: str) -> None:
        request.session[key] = value

    @app.post("/append/{value}")
    async def append(request: Request, value: str) -> None:
        request.session.setdefault("seen", [])
        request.session["seen"].append(value)

    @app.post("/append-within/{value}")
    async def append_within(request: Request, value: str) -> None:
        request.session["seen"].append(value)

    @app.post("/pop/{key}")
    async def pop(request: Request, key: str) -> Any:
        return request.session.pop(key, None)

    @app.post("/clear")
    async def clear(request: Request) -> None:
        request.session.clear()

    @app.get("/idle")
    async def idle() -> None: ...

    return app, client_of(app)


def test_what_is_put_into_the_mapping_is_there_at_the_next_request() -> None:
    _, client = mapped()
    client.post("/set/_state_google_x/42")

    assert client.get("/read").json() == {"_state_google_x": "42"}
    assert list(client.cookies) == [MAPPING]


def test_it_is_a_dict_for_code_that_writes_it_as_json() -> None:
    app, client = mapped()

    @app.get("/dumped")
    async def dumped(request: Request) -> str:
        return json.dumps(request.session)

    client.post("/set/a/1")

    assert client.get("/dumped").json() == '{"a": "1"}'


@pytest.mark.parametrize("path", ["/read", "/idle"])
def test_no_cookie_is_sent_until_something_changed(path: str) -> None:
    _, client = mapped()

    assert "set-cookie" not in client.get(path).headers


def test_setting_what_is_there_already_sends_no_cookie() -> None:
    _, client = mapped()
    client.post("/set/a/1")

    assert "set-cookie" not in client.post("/set/a/1").headers


def test_a_change_within_a_value_is_saved() -> None:
    _, client = mapped()
    client.post("/append/tea")
    client.post("/append-within/jam")

    assert client.get("/read").json() == {"seen": ["tea", "jam"]}


def test_a_key_that_was_taken_out_is_gone() -> None:
    _, client = mapped()
    client.post("/set/a/1")
    client.post("/set/b/2")

    assert client.post("/pop/a").json() == "1"
    assert client.get("/read").json() == {"b": "2"}


def test_a_cleared_mapping_is_empty_at_the_next_request() -> None:
    _, client = mapped()
    client.post("/set/a/1")
    client.post("/clear")

    assert client.get("/read").json() == {}


@pytest.mark.parametrize("empty", ["/clear", "/pop/a"])
def test_the_cookie_goes_with_the_last_key(empty: str) -> None:
    _, client = mapped()
    client.post("/set/a/1")
    header = client.post(empty).headers["set-cookie"]

    assert header.startswith(f"{MAPPING}=;")
    assert "Max-Age=0" in header
    assert MAPPING not in client.cookies
    assert "set-cookie" not in client.post(empty).headers


def test_only_a_response_that_read_it_varies_by_the_cookie() -> None:
    _, client = mapped()
    client.post("/set/a/1")

    assert client.get("/read").headers["vary"] == "Cookie"
    assert "vary" not in client.get("/idle").headers


def test_a_session_that_is_only_passed_by_is_not_touched() -> None:
    clock = Clock()
    _, client = mapped(new_kit(clock=clock, idle_timeout=1000))
    client.post("/set/a/1")
    clock.advance(500)

    assert "set-cookie" not in client.get("/idle").headers
    assert "set-cookie" in client.get("/read").headers


def test_a_tampered_cookie_is_an_empty_mapping() -> None:
    _, client = mapped()
    client.cookies.set(MAPPING, "eyJhIjogMX0.made-up", domain="testserver.local", path="/")

    assert client.get("/read").json() == {}


def test_it_has_nothing_to_do_with_who_is_signed_in() -> None:
    app, client = mapped()

    @app.post("/login")
    async def login(request: Request) -> None:
        request.session["seen"] = "before"
        set_session(request, Session(user_id="ada"))

    @app.get("/who")
    async def who(request: Request) -> str | None:
        session = await get_session(request)
        return None if session is None else session.user_id

    client.post("/login")

    assert sorted(client.cookies) == sorted([COOKIE, MAPPING])
    assert client.get("/who").json() == "ada"
    assert client.get("/read").json() == {"seen": "before"}


def test_the_kits_own_cookie_is_no_mapping_and_the_other_way_round() -> None:
    _, client = mapped()
    client.post("/set/a/1")
    client.cookies.set(COOKIE, client.cookies[MAPPING], domain="testserver.local", path="/")
    client.cookies.delete(MAPPING)

    assert client.get("/read").json() == {}


def test_the_cookie_is_of_the_kits_kind() -> None:
    kit = new_kit(cookie=CookieSettings(name="login", domain="testserver.local", same_site="strict"))
    _, client = mapped(kit)
    header = client.post("/set/a/1").headers["set-cookie"]

    assert header.startswith("request_session=")
    assert "Domain=testserver.local" in header
    assert "SameSite=Strict" in header


def test_the_cookie_may_be_of_another_kind_than_the_kits() -> None:
    app, client = mapped(new_kit(), request_session=CookieSettings(same_site="none", path="/set"))

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, Session(user_id="ada"))

    theirs, own = (client.post(path).headers["set-cookie"] for path in ("/set/a/1", "/login"))

    assert theirs.startswith("request_session=")
    assert "SameSite=None" in theirs
    assert "Path=/set" in theirs
    assert "SameSite=Lax" in own


def test_its_cookie_is_named_as_it_is_said() -> None:
    _, client = mapped(new_kit(), request_session=CookieSettings(name="libraries"))

    assert client.post("/set/a/1").headers["set-cookie"].startswith("__Host-libraries=")


def test_it_can_not_have_the_kits_cookie() -> None:
    with pytest.raises(ConfigurationError, match="uses the cookie"):
        mapped(new_kit(), request_session=CookieSettings(name="session"))


def test_a_request_of_another_site_with_the_cookie_is_refused() -> None:
    _, client = mapped()
    client.post("/set/a/1")
    evil = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}

    assert client.post("/set/a/2", headers=evil).status_code == 403
    assert client.get("/read").json() == {"a": "1"}


def test_an_identity_provider_that_posts_back_is_trusted_as_the_kit_says() -> None:
    _, client = mapped(new_kit(trusted_origins=["https://id.example"]))
    client.post("/set/state/1")
    posted_back = {"sec-fetch-site": "cross-site", "origin": "https://id.example"}

    assert client.post("/pop/state", headers=posted_back).json() == "1"


def test_what_outgrows_the_cookie_names_the_keys() -> None:
    app, client = mapped()

    @app.post("/fill")
    async def fill(request: Request) -> None:
        request.session["big"] = "x" * 5_000

    with pytest.raises(SessionTooLarge, match=r"request\.session\['big'\]"):
        client.post("/fill")


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"bytes"])
def test_what_json_can_not_hold_names_its_key(value: object) -> None:
    app, client = mapped()

    @app.post("/odd")
    async def odd(request: Request) -> None:
        request.session["odd"] = value

    with pytest.raises(TypeError, match=r"request\.session\['odd'\]"):
        client.post("/odd")


def test_a_key_that_is_no_string_is_refused() -> None:
    app, client = mapped()

    @app.post("/odd")
    async def odd(request: Request) -> None:
        request.session[1] = "one"  # type: ignore[index]

    with pytest.raises(TypeError, match="strings as keys"):
        client.post("/odd")


def test_a_tuple_comes_back_as_a_list() -> None:
    app, client = mapped()

    @app.post("/tuple")
    async def put(request: Request) -> None:
        request.session["pair"] = (1, 2)

    client.post("/tuple")

    assert client.get("/read").json() == {"pair": [1, 2]}


def test_an_error_of_500_saves_nothing() -> None:
    app, client = mapped()

    @app.post("/fail")
    async def fail(request: Request) -> PlainTextResponse:
        request.session["a"] = "1"
        return PlainTextResponse("no", 500)

    client.post("/fail")

    assert client.get("/read").json() == {}


def test_a_change_after_the_response_has_started_says_so() -> None:
    app, client = mapped()
    raised: list[Exception] = []

    @app.get("/stream")
    async def stream(request: Request) -> StreamingResponse:
        async def parts() -> Any:
            yield "a"
            try:
                request.session["late"] = 1
            except SessionKitError as error:
                raised.append(error)
            yield str(dict(request.session))

        return StreamingResponse(parts())

    assert client.get("/stream").text == "a{}"
    assert "too late" in str(raised[0])


def test_a_websocket_reads_it_and_changes_it_before_it_accepts() -> None:
    app, client = mapped()

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        websocket.session["opened"] = "yes"
        await websocket.accept()
        with pytest.raises(SessionKitError, match="too late"):
            websocket.session["late"] = 1
        await websocket.send_json(dict(websocket.session))
        await websocket.close()

    client.post("/set/a/1")
    with client.websocket_connect("wss://testserver/socket") as connection:
        assert connection.receive_json() == {"a": "1", "opened": "yes"}


def test_a_mounted_application_reads_the_same() -> None:
    async def read(request: Request) -> PlainTextResponse:
        request.session["below"] = "1"
        return PlainTextResponse(",".join(request.session))

    app, client = mapped()
    app.mount("/below", Starlette(routes=[Route("/", read)]))
    client.post("/set/a/1")

    assert client.get("/below/").text == "a,below"
    assert client.get("/read").json() == {"a": "1", "below": "1"}


def test_a_mounted_application_may_have_its_own() -> None:
    async def put(request: Request) -> PlainTextResponse:
        request.session["theirs"] = "1"
        return PlainTextResponse(",".join(request.session))

    app, client = mapped()
    theirs = Middleware(SessionMiddleware, secret_key=SECRET)
    app.router.routes.append(Mount("/admin", Starlette(routes=[Route("/", put)], middleware=[theirs])))
    client.post("/set/a/1")

    assert client.get("/admin/").text == "theirs"
    assert client.get("/read").json() == {"a": "1"}


def test_a_page_for_a_refusal_has_it_too() -> None:
    app, client = mapped(guard=RouterGuard(protect=[Rule("/closed", role="admin")]))

    @app.exception_handler(NotAuthenticated)
    async def page(request: Request, _: NotAuthenticated) -> PlainTextResponse:
        request.session["after"] = "/closed"
        return PlainTextResponse("sign in", 401)

    assert client.get("/closed").status_code == 401
    assert client.get("/read").json() == {"after": "/closed"}


def test_starlettes_own_middleware_beside_it_fails_the_install() -> None:
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)

    with pytest.raises(ConfigurationError, match=r"starlette\.middleware\.sessions\.SessionMiddleware"):
        new_kit().install(app, request_session=True)


def test_starlettes_own_middleware_added_later_fails_the_start() -> None:
    app, client = mapped()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)

    with pytest.raises(ConfigurationError, match="take the other one away"), client:
        pass


def test_another_middleware_that_gives_one_is_found_at_the_request() -> None:
    class Homemade:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["session"] = {}
            await self.app(scope, receive, send)

    app, client = mapped()
    app.add_middleware(Homemade)

    with pytest.raises(ConfigurationError, match="what has made a dict"):
        client.get("/idle")


def test_only_one_kit_gives_an_application_its_own() -> None:
    app, _ = mapped()

    with pytest.raises(ConfigurationError, match="another SessionKit"):
        new_kit(name="staff").install(app, request_session=True)


def test_an_anonymous_kit_gives_none() -> None:
    with pytest.raises(ConfigurationError, match="that users sign in with"):
        new_kit(anonymous=True, model=_Basket).install(FastAPI(), request_session=True)


@pytest.mark.parametrize("setting", ["no", "", 0, None, CookieSettings])
def test_the_setting_is_true_or_false_or_a_cookies(setting: Any) -> None:
    with pytest.raises(ConfigurationError, match="request_session"):
        new_kit().install(FastAPI(), request_session=setting)


def test_without_it_starlette_says_what_is_missing() -> None:
    app = FastAPI()
    new_kit().install(app)

    @app.get("/read")
    async def read(request: Request) -> dict[str, Any]:
        return request.session

    with pytest.raises(AssertionError, match="must be installed"):
        client_of(app).get("/read")


def test_no_security_scheme_is_documented_for_it() -> None:
    app, _ = mapped()

    assert MAPPING not in json.dumps(app.openapi())


class _Basket(Session):
    user_id: str = ""


def test_authlib_keeps_its_state_in_it() -> None:
    oauth = pytest.importorskip("authlib.integrations.starlette_client", reason="Authlib is not installed").OAuth()
    oauth.register("id", client_id="a", client_secret="b", authorize_url="https://id.example/authorize")
    app, client = mapped()

    @app.get("/start")
    async def start(request: Request) -> Any:
        return await oauth.id.authorize_redirect(request, "https://testserver/back")

    assert client.get("/start").status_code == 302
    assert any(key.startswith("_state_id_") for key in client.get("/read").json())


def test_the_command_takes_it_for_no_kit_to_choose_from(tmp_path: Path) -> None:
    (tmp_path / "mapped_application.py").write_text(
        "from fastapi import FastAPI\nfrom tests.support import new_kit\napp = FastAPI()\n"
        "new_kit(name='staff').install(app, request_session=True)\n"
    )

    assert find(f"{tmp_path}/mapped_application.py:app").kit.name == "staff"
