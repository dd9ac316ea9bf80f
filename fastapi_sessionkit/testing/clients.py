"""Signing a test's client in without a login route, and reading back what it holds."""

import asyncio
import importlib
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from .._request.request_session import RequestSession
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

    Args:
        client: a ``TestClient`` or an ``httpx.AsyncClient``; over https unless the kit's cookie is not Secure.
        kit: the kit of the application under test.
        session: who shall be signed in.

    Returns:
        The same client.

    Raises:
        ConfigurationError: the client would not send a Secure cookie over plain http, or the kit's store needs the
            event loop; sign in through a route of the application then.
    """
    transport = kit.services.transport
    if isinstance(transport, SessionCookie) and transport.secure and client.base_url.scheme != "https":
        raise ConfigurationError(
            "The session cookie is Secure, so a client over plain http never sends it: make the client with "
            'base_url="https://testserver", or the kit with CookieSettings(https_only=False)'
        )
    own = RequestSession(kit.services, _scope(client))
    own.sign_in(session, None)
    for _, cookie in _at_once(own.save()):
        _store_cookie(client, cookie.decode("latin-1"))
    return client


def session_of(client: Client, kit: SessionKit[M]) -> M | None:
    """The session behind the cookie that a client holds; ``None`` when it holds none that is alive.

    Raises:
        ConfigurationError: the kit's store needs the event loop.
    """
    return _at_once(RequestSession(kit.services, _scope(client)).load())


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


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for, with and without a running event loop."""

    async def stepped() -> T:
        return _stepped(coroutine)

    try:
        asyncio.get_running_loop()
    except RuntimeError:  # a plain test: locks and cancel scopes still ask which loop they are in
        return asyncio.run(stepped())
    return _stepped(coroutine)


def _stepped(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise ConfigurationError(
        "This kit's store needs the event loop, so sign in through a route of the application instead"
    )
