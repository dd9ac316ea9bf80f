"""Where a browser is sent, whatever of the optional parts of a request a server says (ASGI, "HTTP connection scope")."""

from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_sessionkit import RouterGuard, Rule
from tests.support import new_kit

pytestmark = pytest.mark.anyio


async def location_of(path: str, *, accept: bytes | None = b"text/html", **said: Any) -> str | None:
    """Where a GET is sent to, a browser's unless it says otherwise."""
    app = FastAPI()
    guard = RouterGuard([Rule("/page/**"), Rule("/openX", redirect_to="/open")], login_path="/login")
    new_kit().install(app, guard=guard)
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"testserver"), *([] if accept is None else [(b"accept", accept)])]
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": headers}
    await app({**scope, "http_version": "1.1", "scheme": "https", **said}, receive, send)
    found: dict[bytes, bytes] = dict(sent[0]["headers"])
    return found[b"location"].decode() if b"location" in found else None


async def test_without_a_root_path_and_a_query_the_page_alone_is_come_back_to() -> None:
    assert await location_of("/page") == "/login?next=/page"


@pytest.mark.parametrize("root", ["/X", "/XX"])
async def test_a_root_path_keeps_its_letters(root: str) -> None:
    assert await location_of("/page", root_path=root, query_string=b"") == f"{root}/login?next={root}/page"


async def test_a_slash_at_the_end_of_a_root_path_is_none_of_the_location() -> None:
    assert await location_of("/page", root_path="/shop/", query_string=b"") == "/shop/login?next=/shop/page"


async def test_a_page_whose_name_only_begins_like_the_targets_is_another_page() -> None:
    assert await location_of("/openX", query_string=b"") == "/open?next=/openX"


async def test_a_client_that_says_nothing_of_what_it_accepts_is_sent_nowhere() -> None:
    assert await location_of("/page", accept=None) is None
