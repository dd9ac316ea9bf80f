"""A node of a Redis Cluster dies under the whole stack: 503 for whom it takes out, never "nobody signed in"."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from fastapi_sessionkit.stores.redis import RedisStore
from tests.stack.application import Answer, Browser, World
from tests.stores.redis_servers import RedisCluster, RedisServer
from tests.support import Clock

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
REQUESTS = [("GET", "/me"), ("POST", "/raise"), ("POST", "/unseen/a/b"), ("POST", "/rotate"), ("POST", "/logout")]


@pytest.fixture(scope="module")
def serving_the_rest() -> Iterator[RedisCluster]:
    """Goes on with the slots that are left."""
    cluster = RedisCluster(durable=True, cluster_node_timeout="2000", cluster_require_full_coverage="no")
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def all_or_nothing() -> Iterator[RedisCluster]:
    """Serves nothing while a slot is missing, which is Redis' default."""
    cluster = RedisCluster(durable=True, cluster_node_timeout="2000", cluster_require_full_coverage="yes")
    yield cluster
    cluster.close()


class Stack:
    """An application on a cluster, and people who are signed in on each of its nodes."""

    def __init__(self, cluster: RedisCluster, clock: Clock) -> None:
        cluster.flush()
        self.cluster = cluster
        self.store = RedisStore(cluster.url, clock=clock)
        self.world = World(self.store, clock)
        self.on: dict[int, list[Browser]] = {server.port: [] for server in cluster.servers}

    async def fill(self) -> None:
        """Three people on each node, each with a counter at 1."""
        for n in range(200):
            browser = await self.world.signed_in(f"user-{n}")
            (key, _), *_ = await self.store.list_user(f"user-{n}")
            node = self.on[self.cluster.server_of(f"session:{key}").port]
            if len(node) < 3:
                node.append(browser)
                await browser.post("/raise")
            if all(len(people) == 3 for people in self.on.values()):
                return
        raise RuntimeError("The ids do not spread over the cluster")

    def others(self, dead: RedisServer) -> list[Browser]:
        return [browser for port, people in self.on.items() if port != dead.port for browser in people]

    async def refused(self, browsers: list[Browser]) -> list[Answer]:
        """What everything that needs a session is answered; each with a browser that forgets what it is told."""
        return [await self.world.browser(browser.token).send(*each) for browser in browsers for each in REQUESTS]

    async def counters(self, browsers: list[Browser]) -> list[int]:
        answers = [await browser.get("/me") for browser in browsers]
        return [answer.body["n"] if answer.status == 200 else -answer.status for answer in answers]

    async def serves_again(self) -> None:
        """Wait for a request of each node to get through. Nobody tells the store; a request has to find out."""
        deadline = time.monotonic() + PATIENCE
        for people in self.on.values():
            while (answer := await people[0].get("/me")).status == 503 and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody else would set an event
                await asyncio.sleep(0.05)
            assert answer.status == 200


@pytest.fixture
async def rest(serving_the_rest: RedisCluster, clock: Clock) -> AsyncIterator[Stack]:
    stack = Stack(serving_the_rest, clock)
    await stack.fill()
    yield stack
    await stack.store.aclose()


@pytest.fixture
async def nothing(all_or_nothing: RedisCluster, clock: Clock) -> AsyncIterator[Stack]:
    stack = Stack(all_or_nothing, clock)
    await stack.fill()
    yield stack
    await stack.store.aclose()


def kept_out(answers: list[Answer]) -> bool:
    """Whether each was told to come back later, and kept the cookie."""
    return {(answer.status, answer.token) for answer in answers} == {(503, None)}


@pytest.mark.parametrize("number", [0, 1])  # the URL names the first
async def test_a_node_that_dies_is_503_for_its_own_sessions_until_it_is_back(
    rest: Stack, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    dead = rest.cluster.servers[number]
    gone, others = rest.on[dead.port], rest.others(dead)
    await asyncio.to_thread(dead.kill)
    try:
        at_once = await rest.refused(gone)
        raised = [(await browser.post("/raise")).status for browser in others]
        await asyncio.to_thread(rest.cluster.lost, dead)
        later = await rest.refused(gone)
        raised += [(await browser.post("/raise")).status for browser in others]
        during = await rest.counters(others)
        untouched = await gone[0].get("/open")
        signing_in = [await rest.world.browser().post(f"/login/new-{n}") for n in range(20)]
    finally:
        await asyncio.to_thread(dead.start)
        await asyncio.to_thread(rest.cluster.settle)
    await rest.serves_again()

    assert kept_out(at_once)
    assert kept_out(later)
    assert set(raised) == {200}
    assert during == [3] * len(others)
    assert untouched.status == 200
    # Whose new session would lie there is told so, and nobody has a cookie without a session.
    assert {(answer.status, answer.token is None) for answer in signing_in} <= {(200, False), (503, True)}
    assert [await rest.world.opens(answer.token) for answer in signing_in if answer.token] == [True] * sum(
        answer.status == 200 for answer in signing_in
    )
    assert await rest.counters(gone) == [1] * len(gone)
    assert await rest.counters(others) == during
    assert {answer.status for answer in [await browser.post("/rotate") for browser in gone + others]} == {200}
    assert "Session store failed" in caplog.text
    assert not any(str(browser.token) in caplog.text for browser in gone)


async def test_a_cluster_that_stops_when_a_node_dies_is_503_until_it_is_back(nothing: Stack) -> None:
    dead = nothing.cluster.servers[1]
    everybody = [*nothing.on[dead.port], *nothing.others(dead)]
    await asyncio.to_thread(dead.kill)
    try:
        await asyncio.to_thread(nothing.cluster.lost, dead)
        answers = await nothing.refused(everybody)
        signing_in = await nothing.world.browser().post("/login/new")
    finally:
        await asyncio.to_thread(dead.start)
        await asyncio.to_thread(nothing.cluster.settle)
    await nothing.serves_again()

    assert kept_out([*answers, signing_in])
    assert await nothing.counters(everybody) == [1] * len(everybody)
    assert {answer.status for answer in [await browser.post("/raise") for browser in everybody]} == {200}
