"""A decision that is taken again is about the path that the request came with, whatever routing has made of it since."""

from typing import Any

import pytest
from fastapi import FastAPI, Request

from fastapi_sessionkit import MemoryStore, RouterGuard, Rule, Session, SessionKit, public
from tests.gate.support import status, token_of
from tests.support import SECRET, Clock

pytestmark = pytest.mark.anyio

ADMINS = RouterGuard([Rule("/inner/**", role="admin")])


class Slow:
    """An application whose mounted one reads a body that takes its time, while somebody changes the user's role."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.kit = SessionKit(secret_key=SECRET, backend=MemoryStore(), clock=clock)
        self.app, inner = FastAPI(), FastAPI()
        self.app.mount("/inner", inner)

        @inner.post("/page")
        async def page(request: Request) -> None:
            await request.body()

        @self.app.post("/open")
        @public
        async def open_to_all(request: Request) -> None:
            await request.body()

    async def post(self, app: FastAPI, path: str, role: str | None) -> int:
        """What is answered to somebody who gets another role meanwhile, or is signed out."""
        parts = iter([(b"1", True), (b"2", False)])

        async def receive() -> Any:
            body, more = next(parts)
            if not more:
                self.clock.advance(6)
                await (
                    self.kit.sessions.revoke_user("ada")
                    if role is None
                    else self.kit.sessions.update_user("ada", role=role)
                )
            return {"type": "http.request", "body": body, "more_body": more}

        cookie = token_of(self.kit, Session(user_id="ada", role="admin"))
        return await status(app, path, method="POST", cookie=cookie, receive=receive)


@pytest.mark.parametrize(("role", "answer"), [("reader", 403), ("admin", 200)])
async def test_attack_a_second_look_below_a_mount_is_about_the_whole_path(role: str, answer: int, clock: Clock) -> None:
    slow = Slow(clock)
    slow.kit.install(slow.app, guard=ADMINS)

    assert await slow.post(slow.app, "/inner/page", role) == answer


async def test_a_second_look_below_a_mount_finds_no_rule_of_another_path(clock: Clock) -> None:
    slow = Slow(clock)
    slow.kit.install(slow.app, guard=RouterGuard([Rule("/page", role="owner"), Rule("/inner/**", role="admin")]))

    assert await slow.post(slow.app, "/inner/page", "admin") == 200


@pytest.mark.parametrize(("role", "answer"), [("reader", 403), ("admin", 200)])
async def test_attack_a_second_look_by_an_inner_gate_is_about_its_own_path(
    role: str, answer: int, clock: Clock
) -> None:
    slow, outermost = Slow(clock), FastAPI()
    outermost.mount("/outer", slow.app)
    slow.kit.install(outermost)
    slow.kit.install(slow.app, guard=ADMINS)

    assert await slow.post(outermost, "/outer/inner/page", role) == answer


async def test_a_second_look_leaves_a_public_endpoint_open(clock: Clock) -> None:
    slow, outermost = Slow(clock), FastAPI()
    outermost.mount("/outer", slow.app)
    slow.kit.install(outermost, guard=RouterGuard([Rule("/outer/**", allow=lambda _: True)]))
    slow.kit.install(slow.app, guard=RouterGuard([], global_protect=True))

    assert await slow.post(outermost, "/outer/open", None) == 200
