"""A server that says what no Redis says: every caller gets an error of the store's, and the next connection is a new one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.redis import RedisStore
from tests.stores.redis.support import A

pytestmark = pytest.mark.anyio

NOTHING = b"$-1\r\n"


@asynccontextmanager
async def server_that_says(replies: Callable[[], bytes]) -> AsyncIterator[str]:
    """The URL of a server that greets as Redis does, and answers GET with that."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(65_536):
            writer.write(b"+OK\r\n" * said.count(b"SETINFO") + (replies() if b"GET" in said else b""))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (b">1\r\n+\xf0\r\n", "the server sent what answers no command"),  # a push message that is no text
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "InvalidResponse"),
        (b"$99999999999999999999\r\n", "InvalidResponse"),
    ],
)
async def test_bytes_that_answer_nothing_are_an_error_and_end_the_connection(odd: bytes, words: str) -> None:
    said = [NOTHING, odd]
    async with server_that_says(lambda: said.pop() if said else NOTHING) as url:
        store = RedisStore(url, timeout=5)
        with pytest.raises(StoreError, match=words):
            await store.get(A)

        assert await store.get(A) is None
        await store.aclose()


async def test_a_reply_that_nobody_asked_for_is_no_later_commands() -> None:
    said = [NOTHING, NOTHING + b"$3\r\nodd\r\n"]
    async with server_that_says(lambda: said.pop() if said else NOTHING) as url:
        store = RedisStore(url, timeout=5)

        assert await store.get(A) is None
        with suppress(StoreError):  # this one is on its way when the reply too many is found
            assert await store.get(A) is None
        assert await store.get(A) is None
        await store.aclose()
