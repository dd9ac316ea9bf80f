"""Every hook times what it may do wrong: nobody is let in by it, and nothing is half done.

A hook raises, raises what is no ``Exception``, gives ``None`` or something of another type, forgets an ``await``, or hangs
until the request is cancelled. The answer is a refusal, a 503 or as if it had not been asked.
"""

import asyncio
import gc
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from inspect import isawaitable
from typing import Annotated, Any

import anyio
import anyio.to_thread
import pytest
from fastapi import Depends, FastAPI, Request
from itsdangerous import TimestampSigner
from starlette.types import Message

from fastapi_sessionkit import (
    Access,
    CookieBackend,
    MemoryStore,
    RouterGuard,
    Rule,
    SessionKit,
    StoreBackend,
    StoreUnavailable,
    clear_session,
    custom,
    permission,
    require,
    role,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import ADA, COOKIE, AppSession, Clock, RecordingStore, app_kit, client_of, holding

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited"),  # that is what some of them do
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """What was never awaited is found here, where it is expected, and not in somebody else's test."""
    yield
    gc.collect()


class Halt(BaseException):
    """Such as ``KeyboardInterrupt``: nobody may take it for an answer."""


async def later(*_: Any, **__: Any) -> bool:
    return True


def raises(*_: Any, **__: Any) -> Any:
    raise LookupError("the value of a session")


def halts(*_: Any, **__: Any) -> Any:
    raise Halt


async def forgets_to_await(*_: Any, **__: Any) -> Any:
    return later()


async def hangs(*_: Any, **__: Any) -> Any:
    await anyio.sleep_forever()


def asynchronously(wrong: Callable[..., Any]) -> Callable[..., Any]:
    async def hook(*arguments: Any, **named: Any) -> Any:
        return wrong(*arguments, **named)

    return hook


GIVEN: dict[str, Any] = {
    "None": None,
    "a text": "True",
    "a number": 7,
    "a mapping": {"admin": False},
    "an object": object(),
    "an error": LookupError(),
}
ANSWERS: dict[str, Callable[..., Any]] = {
    "raises": raises,
    **{f"gives {what}": lambda *_, _given=given, **__: _given for what, given in GIVEN.items()},
}
WRONG: dict[str, Callable[..., Any]] = {
    **ANSWERS,
    **{f"{what}, async": asynchronously(wrong) for what, wrong in ANSWERS.items()},
    "forgets to await": forgets_to_await,
    "is cancelled by itself": asynchronously(lambda *_, **__: (_ for _ in ()).throw(asyncio.CancelledError())),
    "halts": halts,
    "halts, async": asynchronously(halts),
}


class Ran:
    """An application whose pages ask a hook, and what of it has run.

    Args:
        kit: the kit.
        condition: of the rule that guards ``/guarded``; ``/depends`` depends on what it is as a requirement.
    """

    def __init__(self, kit: SessionKit[AppSession], *, protect: list[Rule], required: Any) -> None:
        self.kit, self.app, self.ran = kit, FastAPI(), list[str]()
        kit.install(self.app, guard=RouterGuard(protect=protect))

        @self.app.post("/guarded")
        async def guarded(request: Request) -> None:
            self.ran.append("guarded")
            update_session(request, note="guarded")

        @self.app.post("/depends")
        async def depends(request: Request, _: Annotated[Any, Depends(required)]) -> None:
            self.ran.append("depends")
            update_session(request, note="depends")

        @self.app.post("/change")
        async def change(request: Request) -> None:
            self.ran.append("change")
            update_session(request, note="changed")

        @self.app.post("/promote")
        async def promote(request: Request) -> None:
            update_session(request, role="admin")

        @self.app.post("/in")
        async def sign_in(request: Request) -> None:
            set_session(request, AppSession(user_id="eve"))

        @self.app.post("/out")
        async def sign_out(request: Request) -> None:
            clear_session(request)

        @self.app.get("/who")
        async def who(session: Annotated[AppSession | None, Depends(kit.get_session)]) -> str:
            return "nobody" if session is None else session.user_id

    async def answer(self, path: str, token: str | None, name: str = COOKIE) -> tuple[int, dict[bytes, bytes], bytes]:
        """The status of the answer, its headers and its body; 0 where there is none because something was raised that is no error."""
        messages: list[Message] = []
        cookie = [] if token is None else [(b"cookie", f"{name}={token}".encode())]
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET" if path == "/who" else "POST",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"testserver"), *cookie],
            "scheme": "https",
            "server": ("testserver", 443),
            "client": ("127.0.0.1", 1),
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        try:
            await self.app(scope, receive, send)
        except (Exception, Halt, asyncio.CancelledError):  # noqa: BLE001 - a server would answer 500, end, or drop the connection
            if not messages:
                return 0, {}, b""
        return messages[0]["status"], dict(messages[0]["headers"]), b"".join(m.get("body", b"") for m in messages[1:])


class Hook:
    """A hook that behaves as it is told to."""

    def __init__(self, behaviour: Callable[..., Any]) -> None:
        self.behaviour = behaviour

    def __call__(self, session: Any) -> Any:
        return self.behaviour(session)

    async def awaited(self, session: Any) -> Any:
        answer = self.behaviour(session)
        return await answer if isawaitable(answer) else answer


def token_of(kit: SessionKit[AppSession], app: Any) -> str:
    return str(signed_in(client_of(app), kit, ADA).cookies[COOKIE])


async def stored(store: MemoryStore, clock: Clock, token: str) -> AppSession | None:
    """What a token leads to in a store, by a kit without hooks."""
    loaded = await app_kit(backend=sound(store), clock=clock).backend.load(token.encode())
    return None if loaded is None else AppSession.model_validate_json(loaded.record.data)


def sound(store: MemoryStore) -> MemoryStore:
    """The same records behind methods that do what they should."""
    other = MemoryStore(clock=store.clock)
    vars(other).update({name: value for name, value in vars(store).items() if name not in METHODS})
    return other


METHODS = ("get", "create", "replace", "touch", "delete", "list_user", "delete_user", "purge")
LETS_IN: dict[str, Any] = {"get_roles": ["admin"], "get_permissions": ["admin"]}
DECIDING: dict[str, Callable[[Hook], tuple[dict[str, Any], Rule, Any]]] = {
    "allow": lambda hook: ({}, Rule("/guarded", allow=hook), require(custom(hook))),
    "custom": lambda hook: (
        {},
        Rule("/guarded", requires=custom(hook) | role("admin")),
        require(role("admin") | custom(hook)),
    ),
    "check": lambda hook: (
        {"access": Access(check=lambda _, session: hook(session))},
        Rule("/guarded"),
        require(role("admin")),
    ),
    "get_roles": lambda hook: (
        {"access": Access(get_roles=hook)},
        Rule("/guarded", role="admin"),
        require(role("admin")),
    ),
    "get_permissions": lambda hook: (
        {"access": Access(get_permissions=hook)},
        Rule("/guarded", permission="admin"),
        require(permission("admin")),
    ),
}
every_deciding = pytest.mark.parametrize("name", DECIDING)


def deciding(name: str, clock: Clock) -> tuple[Hook, Ran, RecordingStore, str]:
    """A hook that lets everybody in, an application that asks it, its store, and a token of Ada's."""
    hook, store = Hook(lambda _: LETS_IN.get(name, True)), RecordingStore()
    settings, rule, required = DECIDING[name](hook)
    ran = Ran(app_kit(backend=store, clock=clock, **settings), protect=[rule], required=required)
    return hook, ran, store, token_of(ran.kit, ran.app)


@every_deciding
async def test_attack_what_decides_and_misbehaves_lets_nobody_in(name: str, clock: Clock) -> None:
    hook, ran, store, token = deciding(name, clock)
    assert (await ran.answer("/guarded", token))[0] == 200
    ran.ran.clear()
    store.calls.clear()

    for what, hook.behaviour in WRONG.items():
        for path in ("/guarded", "/depends"):
            for cookie in (token, None):
                status, headers, _ = await ran.answer(path, cookie)
                assert status in {0, 401, 403}, (what, path)
                assert b"set-cookie" not in headers
    assert ran.ran == []
    assert set(store.calls) == {"get"}


@every_deciding
async def test_attack_what_decides_and_hangs_lets_nobody_in_when_cancelled(name: str, clock: Clock) -> None:
    hook, ran, store, token = deciding(name, clock)
    hook.behaviour = hangs

    for path in ("/guarded", "/depends"):
        with anyio.move_on_after(0.02):
            assert (await ran.answer(path, token))[0] in {0, 401, 403}
    assert ran.ran == []
    assert await stored(store, clock, token) == ADA


# revalidate and migrate


PATHS = ("/guarded", "/depends", "/change", "/promote")


async def test_attack_a_revalidate_that_misbehaves_is_503_and_changes_nothing(clock: Clock) -> None:
    hook, store = Hook(lambda session: session), RecordingStore()
    kit = app_kit(backend=store, clock=clock, revalidate=hook.awaited, revalidate_every=0)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)
    store.calls.clear()

    for what, hook.behaviour in WRONG.items():
        if "None" not in what:  # that ends the session
            for path in PATHS:
                status, headers, _ = await ran.answer(path, token)
                assert status in {0, 503}, (what, path)
                assert b"set-cookie" not in headers
            assert (await ran.answer("/who", token))[0] in {0, 503}, what
    hook.behaviour = hangs
    with anyio.move_on_after(0.02):
        await ran.answer("/guarded", token)

    assert set(ran.ran) <= {"change"}  # it marked what was not saved
    assert set(store.calls) == {"get"}
    assert await stored(store, clock, token) == ADA


async def test_attack_a_migrate_that_misbehaves_is_nobody(clock: Clock) -> None:
    hook, store = Hook(lambda data: data), MemoryStore(clock=clock)
    before = app_kit(backend=store, clock=clock)
    kit = app_kit(backend=store, clock=clock, model_version=2, migrate=lambda data, _: hook(data))
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)

    for what, hook.behaviour in WRONG.items():
        for path in PATHS:
            token = token_of(before, ran.app)
            status, _, _ = await ran.answer(path, token)
            assert status in {0, 401}, (what, path)
        status, _, body = await ran.answer("/who", token_of(before, ran.app))
        assert (status, body) in {(0, b""), (200, b'"nobody"')}, what
    assert set(ran.ran) <= {"change"}


# What takes over another library's sessions


OLD_KEY = "the key of another library, of more than 32 characters"
TAKES_OVER: dict[str, Callable[[Hook, MemoryStore], Any]] = {
    "accept_starlette": lambda hook, _: CookieBackend(accept_starlette=(OLD_KEY, hook)),
    "adopt": lambda hook, store: StoreBackend(store, adopt=hook),
}


@pytest.mark.parametrize("name", TAKES_OVER)
async def test_attack_a_takeover_that_misbehaves_lets_nobody_in(name: str, clock: Clock) -> None:
    hook, store = Hook(lambda _: ADA), MemoryStore(clock=clock)
    kit = app_kit(backend=TAKES_OVER[name](hook, store), clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    theirs = TimestampSigner(OLD_KEY).sign(b64encode(b"{}")).decode()
    clock.now = time.time()

    assert (await ran.answer("/depends", theirs, "session"))[0] == 200
    ran.ran.clear()
    for what, hook.behaviour in WRONG.items():
        for path in ("/guarded", "/depends", "/change", "/promote"):
            status, headers, _ = await ran.answer(path, theirs + "=" * (name == "adopt"), "session")
            assert status in {0, 401, 500, 503}, (what, path)
            assert b"__Host-" not in headers.get(b"set-cookie", b"")
    assert set(ran.ran) <= {"change"}  # it marked what was not saved
    assert await store.list_user("eve") == []


# Event handlers


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_an_event_handler_that_misbehaves_changes_no_answer(kind: str, clock: Clock) -> None:
    hook, store = Hook(lambda _: None), MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded", role="admin")], required=kit.require_session)
    kit.on("signed_in", "signed_out", "updated", "rotated", "denied")(hook.awaited if kind == "async" else hook)

    for what, hook.behaviour in WRONG.items():
        token = token_of(app_kit(backend=sound(store), clock=clock), ran.app)
        assert (await ran.answer("/guarded", token))[0] == 403, what
        assert (await ran.answer("/depends", token))[0] == 200, what
        found = await stored(store, clock, token)
        assert found is not None
        assert found.note == "depends", what
        assert (await ran.answer("/out", token))[0] == 200, what
        assert await stored(store, clock, token) is None, what
    told = threading.Event()
    hook.behaviour = lambda event: told.set() if event.name == "signed_in" else None
    await ran.answer("/in", None)

    assert await anyio.to_thread.run_sync(told.wait, 30)


# Stores


# For each method the paths that need it, and those ways that are none wrong: a number is as good as a truth value.
STORE = {
    "get": ("/guarded /depends /change /promote /who /out", {"gives None, async"}),
    "create": ("/in /promote", {"gives a number, async"}),
    "replace": ("/change /promote /guarded", {"gives a number, async"}),
}


@pytest.mark.parametrize("method", STORE)
async def test_attack_a_store_that_misbehaves_is_503_and_nothing_is_changed(method: str, clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)
    paths, fine = STORE[method]

    for what, wrong in WRONG.items():
        if what in fine:
            continue
        setattr(store, method, wrong)
        for path in paths.split():
            status, headers, _ = await ran.answer(path, token)
            assert status in {0, 503}, (what, path)
            assert b"set-cookie" not in headers
        assert await stored(store, clock, token) == ADA, what
        assert len(await sound(store).list_user("eve")) == 0, what
    assert "depends" not in ran.ran


async def test_a_touch_that_misbehaves_keeps_nobody_out(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    ran = Ran(kit, protect=[], required=kit.require_session)
    token = token_of(kit, ran.app)
    clock.now += 86_400

    for what, wrong in WRONG.items():
        store.touch = wrong  # type: ignore[method-assign]
        status, _, body = await ran.answer("/who", token)
        is_halted = "halts" in what or "cancelled" in what
        assert (status, body) == ((0, b"") if is_halted else (200, b'"ada"')), what


async def test_attack_a_delete_that_misbehaves_signs_out_whoever_was_told_so(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    ran = Ran(kit, protect=[], required=kit.require_session)

    for what, wrong in WRONG.items():
        token = token_of(app_kit(backend=sound(store), clock=clock), ran.app)
        store.delete = wrong  # type: ignore[method-assign]
        status, headers, _ = await ran.answer("/out", token)
        assert status in {0, 200, 503}, what
        assert (b"set-cookie" in headers) is (status == 200), what
        assert await stored(store, clock, token) is None, what


@pytest.mark.parametrize("method", ["list_user", "delete_user", "purge"])
async def test_attack_a_listing_that_misbehaves_is_an_error_and_no_answer(method: str, clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    token_of(kit, FastAPI())
    ask = {
        "list_user": lambda: kit.sessions.list("ada"),
        "delete_user": lambda: kit.sessions.revoke_user("ada"),
        "purge": kit.sessions.purge,
    }[method]

    for what, wrong in WRONG.items():
        if method == "list_user" or what != "gives a number, async":
            setattr(store, method, wrong)
            with pytest.raises((StoreUnavailable, Halt, asyncio.CancelledError)):
                await ask()


# Backends


BACKEND = {
    "load": ("/guarded /depends /change /promote /who /out", {"gives None, async"}),
    "create": ("/in", {"gives a text, async"}),
    "update": ("/change", {"gives None, async"}),
    "rotate": ("/promote", {"gives None, async"}),
    "delete": ("/out", {"gives None, async"}),
}


@pytest.mark.parametrize("method", BACKEND)
async def test_attack_a_backend_that_misbehaves_lets_nobody_in(method: str, clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    backend = StoreBackend(store)
    kit = app_kit(backend=backend, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)
    paths, fine = BACKEND[method]

    for what, wrong in WRONG.items():
        if what in fine:
            continue
        setattr(backend, method, wrong)
        for path in paths.split():
            status, headers, _ = await ran.answer(path, token)
            assert status in {0, 500, 503}, (what, path)
            assert b"set-cookie" not in headers
        assert await stored(store, clock, token) == ADA, what
    assert not {"guarded", "depends"} & set(ran.ran)


@pytest.mark.parametrize("method", STORE)
async def test_attack_a_request_that_is_given_up_in_the_store_changes_nothing(method: str, clock: Clock) -> None:
    """How long a store may hang is the store's business: it fails in the end, and nobody waits for it any more."""
    store = MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)

    async def fails_late(*_: Any, **__: Any) -> Any:
        for _turn in range(20):
            await asyncio.sleep(0)
        raise ConnectionError

    setattr(store, method, fails_late)
    for path in STORE[method][0].split():
        request = asyncio.ensure_future(ran.answer(path, token))
        for _ in range(10):
            await asyncio.sleep(0)
        request.cancel()
        assert (await request)[0] in {0, 503}, path

    assert await stored(store, clock, token) == ADA
    assert await sound(store).list_user("eve") == []
    assert not {"guarded", "depends"} & set(ran.ran) or method == "replace"


async def test_a_backends_touch_that_misbehaves_keeps_nobody_out(clock: Clock) -> None:
    backend = StoreBackend(MemoryStore(clock=clock))
    kit = app_kit(backend=backend, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)
    clock.now += 86_400

    for what, wrong in WRONG.items():
        backend.touch = wrong  # type: ignore[method-assign]
        status, headers, body = await ran.answer("/who", token)
        is_halted = "halts" in what or "cancelled" in what
        assert (status, body) == ((0, b"") if is_halted else (200, b'"ada"')), what
        assert (b"set-cookie" in headers) is (what == "gives a text, async"), what


async def test_attack_a_backends_overflow_that_misbehaves_lets_nothing_be_saved(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    backend = StoreBackend(store)
    kit = app_kit(backend=backend, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)

    for what, wrong in WRONG.items():
        backend.overflow = wrong  # type: ignore[method-assign]
        for path in ("/in", "/change", "/promote"):
            status, headers, _ = await ran.answer(path, token)
            assert status in {0, 500, 503}, (what, path)
            assert b"set-cookie" not in headers
        assert (await ran.answer("/who", token))[::2] == (200, b'"ada"'), what
    assert await stored(store, clock, token) == ADA
    assert await store.list_user("eve") == []


async def test_attack_a_backend_that_can_not_say_why_still_says_nobody(clock: Clock) -> None:
    backend = StoreBackend(MemoryStore(clock=clock))
    kit = app_kit(backend=backend, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    given: list[Any] = []

    @ran.app.get("/why")
    async def why(request: Request, _: Annotated[Any, Depends(kit.get_session)]) -> None:
        given.append(kit.session_reason(request))

    client = holding(client_of(ran.app), "junk.junk")
    for what, wrong in WRONG.items():
        backend.absence = wrong  # type: ignore[method-assign]
        if what != "halts":
            assert [client.get("/who").json(), client.post("/guarded").status_code] == ["nobody", 401], what
            client.get("/why")
    assert set(given) == {"unknown_id"}


DIRECTORY: dict[str, list[Callable[[SessionKit[AppSession]], Any]]] = {
    "of_user": [lambda kit: kit.sessions.list("ada"), lambda kit: kit.sessions.update_user("ada", note="x")],
    "end": [lambda kit: kit.sessions.revoke("0" * 64)],
    "end_user": [lambda kit: kit.sessions.revoke_user("ada")],
    "purge": [lambda kit: kit.sessions.purge()],
    "update": [lambda kit: kit.sessions.update_user("ada", note="x")],
}


@pytest.mark.parametrize("method", DIRECTORY)
async def test_attack_a_directory_that_misbehaves_is_an_error_and_no_answer(method: str, clock: Clock) -> None:
    """A coroutine is true: nobody must be told that a session has ended that is still there."""
    store = MemoryStore(clock=clock)
    backend = StoreBackend(store)
    kit = app_kit(backend=backend, clock=clock)
    told: list[Any] = []
    kit.on("revoked", "updated")(told.append)
    token = token_of(kit, FastAPI())
    fine = {"end_user": "gives a number, async", "purge": "gives a number, async", "update": "gives None, async"}

    for what, wrong in WRONG.items():
        if what != fine.get(method):
            setattr(backend, method, wrong)
            for ask in DIRECTORY[method]:
                with pytest.raises((StoreUnavailable, LookupError, TypeError, Halt, asyncio.CancelledError)) as raised:
                    await ask(kit)
                assert "async" not in what or raised.type is not TypeError, what
    await kit.services.events.flush(1)
    assert told == []
    assert await stored(store, clock, token) == ADA


@pytest.mark.parametrize("of", ["store", "backend"])
def test_an_aclose_that_misbehaves_keeps_no_application_from_ending(of: str, clock: Clock) -> None:
    ended: list[str] = []
    for what, wrong in WRONG.items():
        if "halts" in what or "cancelled" in what:
            continue
        backend = StoreBackend(MemoryStore(clock=clock))
        keeper: Any = backend if of == "backend" else backend.store
        keeper.aclose = wrong
        app = FastAPI(on_shutdown=[partial(ended.append, what)])
        app_kit(backend=backend, clock=clock).install(app)
        with client_of(app):
            pass
        assert ended[-1:] == [what]
