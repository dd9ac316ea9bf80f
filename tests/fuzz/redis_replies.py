"""The reply reader of the Redis connection: each reply goes to whom it is for, and no reply is an error of the site's."""

import asyncio
import random
import struct
from dataclasses import replace
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from fastapi_sessionkit import MemoryStore, SessionRecord
from fastapi_sessionkit.stores.base import StoreError
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.redis.format import NO_INDEX, packed_back, packed_front, stored_in
from fastapi_sessionkit.stores.redis.line import Line
from tests.cookie.support import NAME, Site

Reply = bytes | int | None | list[Any]

_RECORD = SessionRecord(b'{"user_id":"ada"}', "ada", 1, 1.0, 1.0, 1.0, 2e9)
_VALUE, _MOVED = (
    packed_front(each) + NO_INDEX + packed_back(each) for each in (_RECORD, replace(_RECORD, successor="a" * 64))
)

# The first byte says whether the rest is replies with a defect, seeded by two bytes, or what one session's key holds.
SEEDS = [
    b"R\x00\x01",
    b"R\x01\x02-READONLY You can't write against a read only replica.\r\n",
    b"R\x02\x03*-1\r\n",
    b"R\x03\x04-ERR max number of clients reached\r\n+OK",
    b"R\x04\x05:12\r\n*2\r\n$1\r\na\r\n-ERR no\r\n",
    b"R\x05\x06>1\r\n+x\r\n%1\r\n+a\r\n_\r\n",
    b"R\x05\x26>1\r\n+\xf0\r\n",
    b"R\x06\x07$99999999999999999999\r\n",
    b"S" + _VALUE,
    b"S" + _VALUE[:40],
    b"S" + _MOVED,
    b"S\x02" + _VALUE[1:],
]
CALLS = 4


class _Told:
    """What the site writes to: at the first command the server says all that it has to say, and hangs up."""

    def __init__(self, reader: asyncio.StreamReader, replies: bytes) -> None:
        self._reader = reader
        self._replies = replies

    def writelines(self, _: Any) -> None:
        if self._replies:
            self._reader.feed_data(self._replies)
        if not self._reader.at_eof():
            self._reader.feed_eof()

    async def drain(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """Nothing is open."""

    wait_closed = drain


def check(data: bytes) -> None:
    """What came whole before a defect arrives, each at its place; what a key holds is a session, nobody or a 503."""
    if data[:1] == b"S":
        _check_value(data[1:])
    elif len(data) > 2:
        _check_replies(random.Random(data[1:3]), data[3:])  # noqa: S311 - the same for the same input


def _check_replies(at_random: random.Random, defect: bytes) -> None:
    replies = [_reply(at_random) for _ in range(at_random.randrange(CALLS + 1))]
    answers = asyncio.run(_answers(b"".join(map(_packed, replies)) + defect))

    assert answers[: len(replies)] == replies
    assert all(not isinstance(answer, Exception) or isinstance(answer, RedisError) for answer in answers)


async def _answers(said: bytes) -> list[Any]:
    """What the callers of four commands get, of which all leave in one write."""
    connection: Any = ConnectionPool.from_url("redis://localhost", protocol=2).make_connection()  # type: ignore[no-untyped-call]
    reader = asyncio.StreamReader()
    connection._reader, connection._writer = reader, _Told(reader, said)  # noqa: SLF001
    connection._parser.on_connect(connection)  # noqa: SLF001
    line = Line(connection, "a server", timeout=60)
    calls = [line.submit(b"PING") for _ in range(CALLS)]
    try:
        async with asyncio.timeout(30):  # nobody may be left waiting, until the line itself gives up
            return await asyncio.gather(*(call.reply for call in calls), return_exceptions=True)
    finally:
        await line.aclose()


def _reply(at_random: random.Random, depth: int = 2) -> Reply:
    kind = at_random.randrange(5 if depth else 4)
    if kind == 0:
        return None
    if kind == 1:
        return at_random.randrange(-(10**6), 10**18)
    if kind == 4:
        return [_reply(at_random, depth - 1) for _ in range(at_random.randrange(4))]
    return at_random.randbytes(at_random.randrange(40))


def _packed(reply: Reply) -> bytes:
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return b"*%d\r\n" % len(reply) + b"".join(map(_packed, reply))


class _Holding:
    """A wire to a server that answers every command with one value."""

    value: bytes = b""

    async def ask(self, *_: Any, **__: Any) -> bytes:
        return self.value

    async def aclose(self) -> None:
        """Nothing is open."""


_HOLDING = _Holding()
_STORE = RedisStore("redis://localhost")
_STORE._open = lambda: _HOLDING  # type: ignore[assignment, return-value] # noqa: SLF001
_SITE = Site(backend=_STORE)
_TOKEN = Site(backend=MemoryStore()).token("ada")


def _check_value(value: bytes) -> None:
    _HOLDING.value = value
    status, body = asyncio.run(_SITE.answer(NAME + b"=" + _TOKEN))

    try:
        stored = stored_in(value)
    except (struct.error, ValueError, StoreError):
        assert status == 503
        return
    assert status == 200
    assert body == b"nobody" or body.decode() in stored.record.data.decode()
