"""What a hook may do wrong, and an application that asks hooks."""

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Annotated, Any

import anyio
import anyio.to_thread
import pytest
from fastapi import Depends, FastAPI, Request
from starlette.types import Message

from fastapi_sessionkit import (
    Access,
    MemoryStore,
    RouterGuard,
    Rule,
    SessionKit,
    clear_session,
    custom,
    permission,
    require,
    role,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import ADA, COOKIE, AppSession, Clock, RecordingStore, app_kit, client_of

MARKS = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("nothing_is_left"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited"),  # that is what some of them do
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


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
