"""Four uvicorn processes on one store."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack.workers import PATIENCE, Visitor, Workers, client
from tests.stores.redis_servers import RedisServer

pytestmark = pytest.mark.anyio

STORES = ("sqlite", "postgres", "redis")


@pytest.fixture(scope="module")
def workers(postgres: Any, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    file: Path = tmp_path_factory.mktemp("workers") / f"{secrets.token_hex(4)}.db"
    stores = {
        # SQLite lets in anybody who waits, not who waited longest: on a slow disk five seconds may not be enough.
        "sqlite": f"sqlite:///{file}?timeout=60",
        "postgres": postgres.url.render_as_string(hide_password=False),
        "redis": redis.url,
    }
    with Workers(4, stores) as workers:
        yield workers


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with client() as http:
        yield http


@pytest.fixture(params=STORES)
async def visitor(request: pytest.FixtureRequest, workers: Workers, http: httpx.AsyncClient) -> Visitor:
    visitor = Visitor(http, workers.urls, request.param)
    response = await visitor.send("POST", f"/login/{secrets.token_hex(4)}")
    response.raise_for_status()
    return visitor


async def test_there_are_four_processes(workers: Workers, http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.get(f"{url}/process") for url in workers.urls))

    assert len({answer.json() for answer in answers}) == 4


async def test_of_200_requests_to_four_processes_every_change_is_there(visitor: Visitor) -> None:
    answers = await visitor.all(*(("POST", f"/fields/f{n}/{n}") for n in range(200)))
    session = (await visitor.send("GET", "/me")).json()

    assert {answer.status_code for answer in answers} == {200}
    assert {name: session.get(name) for name in (f"f{n}" for n in range(200))} == {f"f{n}": str(n) for n in range(200)}


async def test_a_counter_raised_by_50_requests_to_four_processes_reads_50(visitor: Visitor) -> None:
    answers = await visitor.all(*[("POST", "/raise")] * 50)

    assert {answer.status_code for answer in answers} == {200}
    assert (await visitor.send("GET", "/me")).json()["n"] == 50


async def test_a_rotation_in_one_process_signs_nobody_out_in_the_others(visitor: Visitor) -> None:
    requests = [("POST", "/raise"), ("GET", "/me")] * 20
    requests[10:10] = [("POST", "/rotate"), ("POST", "/role/admin")]
    answers = await visitor.all(*requests)
    given = [answer for answer in answers if "set-cookie" in answer.headers]

    assert {answer.status_code for answer in answers} == {200}
    assert len(given) == 1
    session = (await visitor.send("GET", "/me")).json()
    assert (session["n"], session["role"]) == (20, "admin")


async def test_a_sign_out_in_one_process_is_seen_by_all_at_once(visitor: Visitor) -> None:
    token = visitor.token
    out, *_ = await visitor.all(("POST", "/logout"), *[("POST", "/raise")] * 20, *[("POST", "/rotate")] * 4)
    late = []
    for held in {token, visitor.token} - {"", '""'}:
        visitor.token = held
        late += await visitor.all(*[("GET", "/me")] * 8)

    assert out.status_code == 200
    assert {answer.status_code for answer in late} == {401}


async def test_a_killed_process_loses_nothing_that_it_acknowledged(workers: Workers, visitor: Visitor) -> None:
    """SQLite's engine is the process itself."""
    acknowledged: list[int] = []
    numbers = itertools.count()
    broken = 0

    async def change_on_and_on() -> None:
        nonlocal broken
        while broken == 0 or len(acknowledged) < 80:
            n = next(numbers)
            try:
                response = await visitor.send("POST", f"/fields/f{n}/{n}")
            except httpx.HTTPError:
                broken += 1  # it went down with the process
                continue
            if response.status_code == 200:
                acknowledged.append(n)
            if len(acknowledged) >= 40:
                workers.kill(0)

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(change_on_and_on() for _ in range(24)))
    await asyncio.to_thread(workers.start_again, 0)
    answers = await visitor.all(*[("GET", "/me")] * 4)

    assert len(acknowledged) >= 80
    for answer in answers:
        assert answer.json().items() >= {f"f{n}": str(n) for n in acknowledged}.items()
