"""Signing a test's client in without a login route, and reading back what it holds."""

import importlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal
from pydantic import BaseModel

from .._request.request_session import RequestSession
from ..backends import SessionBackend
from ..cookie import SessionCookie
from ..errors import ConfigurationError
from ..kit import SessionKit

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class Client(Protocol):
    """A ``TestClient`` or an ``httpx.AsyncClient``."""

    @property
    def cookies(self) -> Any:
        """Its cookie jar."""
        ...

    @property
    def base_url(self) -> Any:
        """Where it sends its requests."""
        ...


C = TypeVar("C", bound=Client)


def signed_in(client: C, kit: SessionKit[M], session: M) -> C:
    """Sign a client in: it holds the cookie that ``set_session`` would have given it, attributes and all.

    Plain and asynchronous tests call it alike, whatever backend the kit has. The store is asked on the event loop of a
    ``TestClient`` that is entered (``with TestClient(app) as client``). For any other client it is asked on a loop of
    its own, which leaves no connection behind; a store that can serve one loop only needs the former.

    Args:
        client: a ``TestClient`` or an ``httpx.AsyncClient``; over https unless the kit's cookie is not Secure.
        kit: the kit of the application under test.
        session: who shall be signed in.

    Returns:
        The same client.

    Raises:
        ConfigurationError: the client would not send a Secure cookie over plain http.
        SessionTooLarge: the session outgrew the cookie.
        StoreUnavailable: the store failed; the cause is chained.
    """
    transport = kit.services.transport
    if isinstance(transport, SessionCookie) and transport.secure and client.base_url.scheme != "https":
        raise ConfigurationError(
            "The session cookie is Secure, so a client over plain http never sends it: make the client with "
            'base_url="https://testserver", or the kit with CookieSettings(https_only=False)'
        )
    own = RequestSession(kit.services, _scope(client))
    own.sign_in(session, None)
    for _, cookie in _result(client, kit.backend, own.save):
        _store_cookie(client, cookie.decode("latin-1"))
    return client


def session_of(client: Client, kit: SessionKit[M]) -> M | None:
    """The session behind the cookie that a client holds; ``None`` when it holds none that is alive.

    The store is asked as ``signed_in`` asks it.

    Raises:
        StoreUnavailable: the store failed; the cause is chained.
    """
    return _result(client, kit.backend, RequestSession(kit.services, _scope(client)).load)


def _scope(client: Client) -> dict[str, Any]:
    """The scope of a request that the client could send."""
    jar = [f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar]
    headers = [(b"cookie", "; ".join(jar).encode("latin-1"))] if jar else []
    return {"type": "http", "method": "GET", "scheme": client.base_url.scheme, "path": "/", "headers": headers}


def _store_cookie(client: Client, cookie: str) -> None:
    """Let the jar take the cookie as from a response, so that a later ``Set-Cookie`` replaces it."""
    library = importlib.import_module(type(client.cookies).__module__.partition(".")[0])  # httpx, or Starlette's httpx2
    request = library.Request("GET", client.base_url)
    client.cookies.extract_cookies(library.Response(200, headers=[("set-cookie", cookie)], request=request))


def _result(client: Client, backend: SessionBackend, work: Callable[[], Awaitable[T]]) -> T:
    """What comes of work that may wait for a store, whether or not an event loop is running here."""
    portal: BlockingPortal | None = getattr(client, "portal", None)  # of a TestClient that is entered
    if portal is not None:
        return portal.call(work)

    async def work_and_let_go() -> T:
        try:
            return await work()
        finally:
            await backend.aclose()

    # As a TestClient does for each request while it is not entered.
    with start_blocking_portal(**getattr(client, "async_backend", {})) as portal:
        return portal.call(work_and_let_go)
