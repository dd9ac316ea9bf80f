"""Sessions of another library move to the kit's own, once: nobody is signed out by switching, and who signs out stays out."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from itsdangerous import TimestampSigner
from starlette.middleware.sessions import SessionMiddleware

from fastapi_sessionkit import (
    ConfigurationError,
    CookieBackend,
    CookieSettings,
    SessionKit,
    SessionRecord,
    StoreBackend,
    clear_session,
    get_session_info,
    reauthenticate_session,
    regenerate_session,
    require_fresh,
    set_session,
    update_session,
)
from fastapi_sessionkit.stores.sql import SQLStore
from tests.events.support import told
from tests.support import ADA, COOKIE, SECRET, SITE, AppSession, Clock, RecordingStore, app_kit, client_of

OLD_KEY = "the key that the old middleware has signed with"
DAY = 86_400
OLD = "their-id-of-ada"
THEIRS = {OLD: "ada", "their-id-of-bob": "bob"}


def session_of(data: dict[str, Any]) -> AppSession | None:
    return AppSession(user_id=data["user"], role="user") if "user" in data else None


async def adopted(value: str) -> AppSession | None:
    return AppSession(user_id=THEIRS[value], role="user") if value in THEIRS else None


def signed(data: Any, key: str = OLD_KEY) -> str:
    return TimestampSigner(key).sign(b64encode(json.dumps(data).encode())).decode()


def routes(app: FastAPI, kit: SessionKit[AppSession]) -> None:  # noqa: C901
    Current = Annotated[AppSession, Depends(kit.require_session)]  # noqa: N806

    @app.get("/me")
    async def me(session: Current) -> list[str]:
        return [session.user_id, session.note]

    @app.get("/idle")
    async def idle() -> None: ...

    @app.get("/fail")
    async def fail(session: Current) -> PlainTextResponse:
        return PlainTextResponse(session.user_id, 500)

    @app.post("/note/{note}")
    async def note(request: Request, session: Current, note: str) -> str:
        update_session(request, note=note)
        return session.user_id

    @app.post("/note-unseen/{note}")
    async def note_unseen(request: Request, note: str) -> None:
        update_session(request, note=note)

    @app.post("/move")
    async def move(request: Request) -> None:
        regenerate_session(request)

    @app.post("/prove")
    async def prove(request: Request) -> None:
        reauthenticate_session(request)

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, ADA)

    @app.get("/fresh", dependencies=[Depends(require_fresh(600))])
    async def fresh() -> None: ...

    @app.get("/info")
    async def info(request: Request) -> dict[str, Any]:
        found = await get_session_info(request)
        return {} if found is None else {"authenticated": found.authenticated_at.timestamp()}


class Switched:
    """An application that has switched, and what makes a browser of somebody who was signed in before."""

    def __init__(self, backend: Any, old: Callable[[], str], **options: Any) -> None:
        self.kit = app_kit(backend=backend, **options)
        self.app = FastAPI()
        self.kit.install(self.app)
        routes(self.app, self.kit)
        self.old = old

    def browser(self, value: str | None = None, name: str = "session") -> TestClient:
        client = client_of(self.app)
        client.cookies.set(name, self.old() if value is None else value, domain="testserver.local", path="/")
        return client


def from_starlette(**options: Any) -> Switched:
    return Switched(CookieBackend(accept_starlette=(OLD_KEY, session_of)), lambda: signed({"user": "ada"}), **options)


def from_a_store(store: Any = None, adopt: Any = adopted, **options: Any) -> Switched:
    return Switched(StoreBackend(store or RecordingStore(), adopt=adopt), lambda: OLD, **options)


@pytest.fixture(params=["cookie", "encrypted", "memory", "sqlite"])
def switched(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Switched]:
    if request.param == "cookie":
        yield from_starlette()
    elif request.param == "encrypted":
        backend = CookieBackend(encrypt=True, accept_starlette=(OLD_KEY, session_of))
        yield Switched(backend, lambda: signed({"user": "ada"}))
    elif request.param == "memory":
        yield from_a_store()
    else:
        yield from_a_store(SQLStore(f"sqlite+aiosqlite:///{tmp_path}/sessions.db"))


@pytest.fixture
def on_store(request: pytest.FixtureRequest, tmp_path: Any) -> Switched:
    return from_a_store()


def test_a_session_that_is_taken_over_is_told_as_a_sign_in_that_says_so(switched: Switched) -> None:
    events = told(switched.kit)
    browser = switched.browser()
    browser.get("/me")
    browser.post("/note/later")

    assert [(event.name, event.user_id, event.path, event.reason) for event in events] == [
        ("signed_in", "ada", "/me", "taken over from another library"),
        ("updated", "ada", "/note/later", None),
    ]
    assert events[0].fingerprint == events[1].fingerprint


# For every backend


def test_nobody_is_signed_out_by_switching(switched: Switched) -> None:
    client = switched.browser()

    assert client.get("/me").json() == ["ada", ""]
    assert list(client.cookies) == [COOKIE]  # the old one is gone
    assert client.get("/me").json() == ["ada", ""]


def test_a_response_that_asks_for_nobody_takes_nothing_over(switched: Switched) -> None:
    client = switched.browser()

    assert "set-cookie" not in client.get("/idle").headers


def test_a_response_with_the_new_cookie_is_kept_by_no_cache(switched: Switched) -> None:
    assert switched.browser().get("/me").headers["cache-control"] == "no-store"


def test_a_response_of_500_moves_nothing_and_the_next_one_does(switched: Switched) -> None:
    client = switched.browser()
    client.get("/fail")

    assert list(client.cookies) == ["session"]
    assert client.get("/me").json() == ["ada", ""]


@pytest.mark.parametrize("path", ["/note/tea", "/note-unseen/tea"])
def test_a_change_in_the_request_that_moves_is_saved(switched: Switched, path: str) -> None:
    client = switched.browser()
    assert client.post(path).status_code == 200

    assert client.get("/me").json() == ["ada", "tea"]


@pytest.mark.parametrize("path", ["/move", "/prove"])
def test_a_move_to_a_new_id_before_anything_was_read_serves(switched: Switched, path: str) -> None:
    client = switched.browser()

    assert client.post(path).status_code == 200
    assert client.get("/me").json() == ["ada", ""]


def test_who_signs_out_stays_out(switched: Switched) -> None:
    client = switched.browser()
    client.get("/me")
    client.post("/logout")

    assert list(client.cookies) == []
    assert client.get("/me").status_code == 401


def test_who_signs_out_before_anything_else_stays_out(switched: Switched) -> None:
    client = switched.browser()
    client.post("/logout")

    assert list(client.cookies) == []
    assert client.get("/me").status_code == 401


def test_a_sign_in_removes_the_old_cookie(switched: Switched) -> None:
    client = switched.browser()
    client.post("/login")

    assert list(client.cookies) == [COOKIE]


@pytest.mark.parametrize("path", ["/note/evil", "/logout", "/login"])
def test_another_site_can_not_use_the_old_cookie(switched: Switched, path: str) -> None:
    client = switched.browser()
    evil = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}

    assert client.post(path, headers=evil).status_code == 403
    assert client.get("/me").json() == ["ada", ""]


def test_nobody_knows_how_long_ago_its_user_signed_in(switched: Switched) -> None:
    client = switched.browser()

    assert client.get("/fresh").status_code == 401
    assert client.get("/info").json() == {"authenticated": 0.0}
    assert client.get("/fresh").status_code == 401
    client.post("/prove")
    assert client.get("/fresh").status_code == 200


def test_who_proves_who_they_are_as_they_move_is_fresh(switched: Switched) -> None:
    client = switched.browser()
    client.post("/prove")

    assert client.get("/fresh").status_code == 200


@pytest.mark.parametrize("junk", ["", "null", "made-up", "a.b.c", "=", "x" * 5_000, '"quoted"'])
def test_what_nobody_vouches_for_is_nobody(switched: Switched, junk: str) -> None:
    client = switched.browser(junk)

    assert client.get("/me").status_code == 401
    assert client.post("/note/tea").status_code == 401


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        (["XaX"], ["XaX"]),
        (["x" * 4_096, "x" * 4_097], ["x" * 4_096]),
        ([*"12345678"], [*"12345678"]),
        ([*"123456789"], []),
    ],
)
def test_the_function_is_asked_of_a_few_values_that_are_not_too_long(values: list[str], asked: list[str]) -> None:
    seen: list[str] = []
    client = client_of(from_a_store(adopt=seen.append).app)

    client.get("/me", headers={"cookie": "; ".join(f"session={value}" for value in values)})

    assert seen == asked


def test_a_cookie_of_another_name_is_not_looked_at(switched: Switched) -> None:
    assert switched.browser(name="other").get("/me").status_code == 401


def test_two_old_cookies_that_both_lead_somewhere_count_as_none(switched: Switched) -> None:
    other = signed({"user": "bob"}) if switched.old() != OLD else "their-id-of-bob"
    both = {"cookie": f"session={switched.old()}; session={other}"}

    assert client_of(switched.app).get("/me", headers=both).status_code == 401


def test_one_of_two_old_cookies_that_leads_somewhere_counts(switched: Switched) -> None:
    both = {"cookie": f"session=junk; session={switched.old()}"}

    assert client_of(switched.app).get("/me", headers=both).status_code == 200


def test_whoever_has_a_cookie_of_the_kits_has_moved_already(switched: Switched) -> None:
    client = switched.browser()
    client.cookies.set(COOKIE, "expired", domain="testserver.local", path="/")

    assert client.get("/me").status_code == 401


def test_a_session_of_another_model_says_what_to_give() -> None:
    async def wrong(_: str) -> Any:
        return {"user_id": "ada"}

    with pytest.raises(TypeError, match="gives a AppSession"):
        from_a_store(adopt=wrong).browser().get("/me")


# The signed cookie


@pytest.mark.parametrize("name", [None, "session"])
def test_a_session_that_starlettes_middleware_wrote_is_taken_over(name: str | None) -> None:
    before = FastAPI()
    before.add_middleware(SessionMiddleware, secret_key=OLD_KEY)

    @before.post("/login")
    async def login(request: Request) -> None:
        request.session["user"] = "ada"

    old = TestClient(before, base_url=SITE)
    old.post("/login")
    switched = from_starlette(cookie=CookieSettings(name=name, https_only=False) if name else CookieSettings())
    client = switched.browser(old.cookies["session"])

    assert client.get("/me").json() == ["ada", ""]
    assert list(client.cookies) == [name or COOKIE]
    assert client.get("/me").json() == ["ada", ""]
    client.post("/logout")
    assert client.get("/me").status_code == 401


def test_a_cookie_that_was_signed_with_another_key_is_nobody() -> None:
    assert from_starlette().browser(signed({"user": "ada"}, SECRET)).get("/me").status_code == 401


@pytest.mark.parametrize("data", [[], "ada", None, 1, {}, {"flash": "hello"}])
def test_a_signed_cookie_without_a_user_is_nobody(data: Any) -> None:
    assert from_starlette().browser(signed(data)).get("/me").status_code == 401


@pytest.mark.parametrize(("age", "status"), [(14 * DAY, 200), (14 * DAY + 1, 401), (-10, 200), (-11, 401)])
def test_an_old_cookie_serves_as_long_as_it_did(age: float, status: int) -> None:
    clock = Clock()
    switched = from_starlette(clock=clock)
    old = _signed_at(clock() - age)

    assert switched.browser(old).get("/me").status_code == status


def test_a_copy_of_the_old_cookie_does_not_outlive_the_absolute_timeout() -> None:
    clock = Clock()
    switched = from_starlette(clock=clock, absolute_timeout=3 * 86_400, idle_timeout=3 * 86_400)
    client = switched.browser(_signed_at(clock() - 2 * 86_400))

    assert client.get("/me").status_code == 200
    clock.advance(86_400 + 1)
    assert client.get("/me").status_code == 401
    assert switched.browser(_signed_at(clock() - 4 * 86_400)).get("/me").status_code == 401


def _signed_at(when: float) -> str:
    class Then(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(when)

    return Then(OLD_KEY).sign(b64encode(b'{"user": "ada"}')).decode()


@pytest.mark.parametrize(
    ("settings", "removed"),
    [
        ({}, ["Path=/; HttpOnly; SameSite=Lax; Secure"]),
        (
            {"path": "/app"},
            ["Path=/app; HttpOnly; SameSite=Lax; Secure", "Path=/; HttpOnly; SameSite=Lax; Secure"],
        ),
        (
            {"domain": "testserver.local"},
            [
                "Path=/; HttpOnly; SameSite=Lax; Domain=testserver.local; Secure",
                "Path=/; HttpOnly; SameSite=Lax; Secure",
            ],
        ),
        ({"name": "session", "path": "/app"}, []),  # the kit's own takes its place
    ],
)
def test_the_old_cookie_is_removed_at_the_kits_place_and_at_the_site_s(
    settings: dict[str, Any], removed: list[str]
) -> None:
    headers = from_starlette(cookie=CookieSettings(**settings)).browser().get("/me").headers.get_list("set-cookie")
    gone = "session=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; "

    assert [header for header in headers if header.startswith("session=;")] == [gone + flags for flags in removed]
    assert len(headers) == len(removed) + 1


def test_an_object_that_does_not_understand_is_nobody_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    class Careless:
        def __call__(self, data: dict[str, Any]) -> AppSession:
            return AppSession(user_id=data["user"])

    switched = Switched(CookieBackend(accept_starlette=(OLD_KEY, Careless())), lambda: signed({}))

    assert switched.browser().get("/me").status_code == 401
    assert "Careless raised KeyError" in caplog.text


def test_data_that_the_function_does_not_understand_is_nobody_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def careless(data: dict[str, Any]) -> AppSession:
        return AppSession(user_id=data["user"])

    switched = Switched(CookieBackend(accept_starlette=(OLD_KEY, careless)), lambda: signed({"secret": "value"}))

    assert switched.browser().get("/me").status_code == 401
    assert "careless raised KeyError" in caplog.text
    assert "value" not in caplog.text


@pytest.mark.parametrize(
    "accepted",
    [
        ("short", session_of),
        ("x" * 31, session_of),
        [OLD_KEY, session_of],
        (" " * 40, session_of),
        (None, session_of),
        (OLD_KEY, None),
        (OLD_KEY, lambda: None),
        (OLD_KEY,),
        OLD_KEY,
    ],
)
def test_what_can_not_take_over_is_refused(accepted: Any) -> None:
    with pytest.raises(ConfigurationError, match="accept_starlette"):
        CookieBackend(accept_starlette=accepted)


@pytest.mark.parametrize(
    "options",
    [{"old_cookie": name} for name in ("", "a b", "a;b", "a=b", "a\tb", "sitzung\xe4", None)] + [{"old_max_age": 0}],
)
def test_other_settings_that_can_not_work_are_refused(options: Any) -> None:
    with pytest.raises(ConfigurationError, match="old_"):
        CookieBackend(accept_starlette=(OLD_KEY, session_of), **options)


def test_the_shortest_key_and_any_name_of_a_cookie_will_do() -> None:
    backend = CookieBackend(accept_starlette=("x" * 32, session_of), old_cookie="__Host-X_1.SESSION")

    assert backend.takeover() is not None


@pytest.mark.parametrize("adopt", [0, "adopted", lambda: None])
def test_what_can_not_adopt_is_refused(adopt: Any) -> None:
    with pytest.raises(ConfigurationError, match="adopt"):
        StoreBackend(RecordingStore(), adopt=adopt)


# Sessions that are kept


def test_an_old_session_is_taken_over_once(on_store: Switched) -> None:
    clock = Clock()
    switched = from_a_store(clock=clock)
    switched.browser().get("/me")
    clock.advance(11)  # the grace is over

    assert switched.browser().get("/me").status_code == 401


def test_a_copy_of_the_old_cookie_is_dead_after_a_sign_out(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")
    client.post("/logout")

    assert on_store.browser().get("/me").status_code == 401


def test_a_copy_of_the_old_cookie_is_dead_after_a_sign_out_that_came_first(on_store: Switched) -> None:
    on_store.browser().post("/logout")

    assert on_store.browser().get("/me").status_code == 401


def test_a_sign_out_with_the_old_cookie_is_kept_by_a_database(tmp_path: Any) -> None:
    switched = from_a_store(SQLStore(f"sqlite+aiosqlite:///{tmp_path}/sessions.db"))

    assert switched.browser().post("/logout").status_code == 200
    assert switched.browser().get("/me").status_code == 401


def test_a_sign_out_with_the_old_cookie_ends_what_has_just_moved(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")
    on_store.browser().post("/logout")

    assert client.get("/me").status_code == 401


def test_a_request_under_way_is_served_and_gets_no_cookie(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")
    late = on_store.browser()

    assert late.post("/note/late").json() == "ada"
    assert list(late.cookies) == ["session"]
    assert client.get("/me").json() == ["ada", "late"]


@pytest.mark.anyio
async def test_of_requests_at_once_one_moves_and_all_changes_are_kept() -> None:
    store = RecordingStore(turns=lambda: 3)
    switched = from_a_store(store, max_sessions_per_user=1)
    transport = httpx.ASGITransport(switched.app)
    async with httpx.AsyncClient(transport=transport, base_url=SITE, cookies={"session": OLD}) as client:
        paths = ["/note/tea", "/me", "/me", "/me"]
        answers = await asyncio.gather(*(client.request("POST" if "note" in path else "GET", path) for path in paths))
    given = [answer.headers.get_list("set-cookie") for answer in answers]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert sum(any(header.startswith(COOKIE) for header in headers) for headers in given) == 1
    sessions = await switched.kit.sessions.list("ada")
    assert [each.session.note for each in sessions if each.session is not None] == ["tea"]


@pytest.mark.parametrize("junk", ["made-up", "x" * 5_000, "null", "ü"])
def test_junk_costs_the_store_nothing(junk: str) -> None:
    store = RecordingStore()
    headers = [(b"cookie", f"session={junk}".encode())]
    client = client_of(from_a_store(store).app)

    assert client.get("/me", headers=headers).status_code == 401
    client.post("/logout", headers=headers)
    assert store.calls == []


def test_an_id_that_the_old_library_gave_is_no_id_of_the_kits(on_store: Switched) -> None:
    client = on_store.browser(OLD, COOKIE)

    assert client.get("/me").status_code == 401


def test_a_pair_names_an_old_session_that_is_spelled_in_several_ways() -> None:
    async def lenient(value: str) -> tuple[AppSession, str] | None:
        session = await adopted(value.rstrip("="))
        return None if session is None else (session, value.rstrip("="))

    clock = Clock()
    switched = from_a_store(adopt=lenient, clock=clock)
    switched.browser().get("/me")
    clock.advance(11)

    assert switched.browser(f"{OLD}=").get("/me").status_code == 401


def test_a_function_that_is_not_async_serves_too() -> None:
    switched = from_a_store(adopt=lambda value: ADA if value == OLD else None)

    assert switched.browser().get("/me").status_code == 200


def test_an_outage_of_the_old_store_is_503_and_nobody_is_signed_out() -> None:
    broken = True

    async def asks(value: str) -> AppSession | None:
        if broken:
            raise OSError("the old store is gone")
        return await adopted(value)

    switched = from_a_store(adopt=asks)
    client = switched.browser()

    assert client.get("/me").status_code == 503
    broken = False
    assert client.get("/me").status_code == 200


@pytest.mark.parametrize("broken", ["create", "get"])
def test_an_outage_of_the_store_is_503_and_nobody_is_signed_out(broken: str) -> None:
    store = RecordingStore()
    client = from_a_store(store).browser()
    store.broken = {broken}

    assert client.get("/me").status_code == 503
    store.broken = set()
    assert client.get("/me").status_code == 200


class Failing(RecordingStore):
    """Fails to remember that a session was taken over.

    Attributes:
        fails: whether it does.
        carries_out: whether only the answer is lost.
        goes_on_failing: whether nothing can be asked or deleted afterwards either.
    """

    def __init__(self, *, carries_out: bool = False, goes_on_failing: bool = False) -> None:
        super().__init__()
        self.fails, self.carries_out, self.goes_on_failing = True, carries_out, goes_on_failing

    async def create(self, key: str, record: SessionRecord) -> bool:
        if not self.fails or record.successor is None:
            return await super().create(key, record)
        if self.goes_on_failing:
            self.broken = {"get", "delete"}
        if self.carries_out:
            await super().create(key, record)
        raise ConnectionError


@pytest.mark.parametrize("carries_out", [False, True], ids=["not carried out", "answer lost"])
def test_a_take_over_that_is_cut_short_leaves_nothing_and_is_made_later(carries_out: bool) -> None:
    store = Failing(carries_out=carries_out)
    client = from_a_store(store).browser()

    assert client.get("/me").status_code == 503
    assert store._records == {}  # noqa: SLF001
    store.fails = False
    assert client.get("/me").status_code == 200


def test_a_take_over_in_an_outage_that_goes_on_is_503() -> None:
    assert from_a_store(Failing(goes_on_failing=True)).browser().get("/me").status_code == 503


def test_a_take_over_stands_though_older_sessions_can_not_be_ended() -> None:
    class Unlisted(RecordingStore):
        async def list_user(self, user_id: str) -> list[tuple[str, SessionRecord]]:
            raise ConnectionError

    client = from_a_store(Unlisted(), max_sessions_per_user=1).browser()

    assert client.get("/me").status_code == 200
    assert COOKIE in client.cookies


def test_whom_the_application_vouches_for_no_more_is_not_taken_over() -> None:
    answers = iter([ADA, None])
    store = RecordingStore()
    client = from_a_store(store, adopt=lambda _: next(answers, None)).browser()
    client.get("/me")

    assert COOKIE not in client.cookies
    assert store._records == {}  # noqa: SLF001


def test_what_was_taken_over_is_as_old_as_its_cookie_however_much_used() -> None:
    clock = Clock()
    switched = from_starlette(clock=clock, absolute_timeout=7 * DAY)
    client = switched.browser(_signed_at(clock() - 3 * DAY))
    statuses = []
    for _ in range(5):
        statuses.append(client.get("/me").status_code)
        clock.advance(DAY)

    assert statuses == [200, 200, 200, 200, 401]


def test_an_old_session_is_taken_over_once_while_browsers_keep_its_cookie() -> None:
    clock = Clock()
    switched = from_a_store(clock=clock)
    switched.browser().get("/me")
    clock.advance(400 * DAY - 1)

    assert switched.browser().get("/me").status_code == 401


def test_a_session_that_is_taken_over_counts_for_the_limit_of_its_user() -> None:
    clock = Clock()
    switched = from_a_store(clock=clock, max_sessions_per_user=1)
    older = client_of(switched.app)
    older.post("/login")
    clock.advance(1)
    newer = switched.browser()

    assert newer.get("/me").status_code == 200
    assert older.get("/me").status_code == 401
    assert newer.get("/me").status_code == 200


@pytest.mark.parametrize(("changes", "note"), [(True, "late"), (False, "")])
def test_of_two_that_take_over_at_once_the_slower_saves_and_gets_no_cookie(
    on_store: Switched, changes: bool, note: str
) -> None:
    events = told(on_store.kit, "updated")
    quicker = on_store.browser()

    @on_store.app.post("/slow", dependencies=[Depends(on_store.kit.require_session)])
    async def slow(request: Request) -> None:
        quicker.get("/me")
        if changes:
            update_session(request, note="late")

    answer = on_store.browser().post("/slow")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert quicker.get("/me").json() == ["ada", note]
    assert [event.path for event in events] == ["/slow"] * changes


def test_a_sign_out_while_another_takes_over_leaves_nobody(on_store: Switched) -> None:
    quicker = on_store.browser()

    @on_store.app.post("/slow", dependencies=[Depends(on_store.kit.require_session)])
    async def slow(request: Request) -> None:
        quicker.post("/logout")
        update_session(request, note="late")

    answer = on_store.browser().post("/slow")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert asyncio.run(on_store.kit.sessions.list("ada")) == []


def test_in_its_grace_the_old_cookie_moves_nothing_and_gets_no_cookie(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")

    assert "set-cookie" not in on_store.browser().post("/move").headers
    assert client.get("/me").status_code == 200


def test_attack_the_old_cookie_opens_nothing_past_a_move_without_grace(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")
    assert on_store.browser().get("/me").status_code == 200
    client.post("/prove")

    assert on_store.browser().get("/me").status_code == 401


def test_signing_out_with_an_old_cookie_past_its_grace_ends_nobody() -> None:
    clock = Clock()
    switched = from_a_store(clock=clock)
    client = switched.browser()
    client.get("/me")
    clock.advance(11)
    switched.browser().post("/logout")

    assert client.get("/me").status_code == 200


def test_a_session_that_was_taken_over_can_be_listed_and_revoked(on_store: Switched) -> None:
    client = on_store.browser()
    client.get("/me")

    assert asyncio.run(on_store.kit.sessions.revoke_user("ada")) == 1
    assert client.get("/me").status_code == 401


def test_what_was_revoked_after_it_was_taken_over_is_not_taken_over_again(on_store: Switched) -> None:
    on_store.browser().get("/me")
    asyncio.run(on_store.kit.sessions.revoke_user("ada"))

    assert on_store.browser().get("/me").status_code == 401


def test_visitors_are_not_taken_over() -> None:
    class Basket(AppSession):
        user_id: str = ""

    with pytest.raises(ConfigurationError, match="takes no sessions over"):
        SessionKit(Basket, secret_key=SECRET, anonymous=True, backend=StoreBackend(RecordingStore(), adopt=adopted))
