"""The gate before WebSockets."""

from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.websockets import WebSocket, WebSocketDisconnect

from fastapi_sessionkit import RouterGuard, Rule, Session, SessionKit
from fastapi_sessionkit.testing import signed_in
from tests.gate.support import ADMIN, CUSTOMER, NAVIGATION, Message, ask, token_of
from tests.support import client_of, new_kit


def socket_app(
    guard: RouterGuard | None, *, router_guard: RouterGuard | None = None
) -> tuple[FastAPI, SessionKit[Session]]:
    kit, app = new_kit(), FastAPI()
    router = APIRouter(dependencies=[Depends(router_guard)] if router_guard else [])

    @router.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("in")
        await websocket.close()

    app.include_router(router)
    kit.install(app, guard=guard)
    return app, kit


GUARDED = RouterGuard(protect=[Rule("/ws", role="admin")], login_path="/login")
WAYS: dict[str, Any] = {"gate": {"guard": GUARDED}, "router": {"guard": None, "router_guard": GUARDED}}


async def connect() -> Message:
    return {"type": "websocket.connect"}


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize(("who", "expected"), [(None, 401), (CUSTOMER, 403)])
@pytest.mark.anyio
async def test_a_refused_handshake_is_answered_where_the_server_can(
    way: str, who: Session | None, expected: int
) -> None:
    app, kit = socket_app(**WAYS[way])
    cookie = token_of(kit, who) if who else b""

    sent = await ask(
        app, "/ws", cookie=cookie, type="websocket", scheme="wss", subprotocols=[], receive=connect,
        extensions={"websocket.http.response": {}},
    )  # fmt: skip

    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == expected


@pytest.mark.parametrize("headers", [{}, NAVIGATION, {"Accept": "text/html"}, {"HX-Request": "true"}])
@pytest.mark.anyio
async def test_a_refused_handshake_is_told_of_no_page_to_go_to(headers: dict[str, str]) -> None:
    app, _ = socket_app(GUARDED)

    sent = await ask(
        app,
        "/ws",
        headers=headers,
        type="websocket",
        scheme="wss",
        subprotocols=[],
        receive=connect,
        extensions={"websocket.http.response": {}},
    )

    assert sent[0]["status"] == 401
    assert not {b"location", b"hx-redirect"} & dict(sent[0]["headers"]).keys()


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("scope", [{}, {"extensions": {}}, {"extensions": None}], ids=["without", "empty", "none"])
@pytest.mark.parametrize("who", [None, CUSTOMER])
@pytest.mark.anyio
async def test_a_refused_handshake_is_closed_where_the_server_can_not_answer(
    way: str, scope: Message, who: Session | None
) -> None:
    app, kit = socket_app(**WAYS[way])
    cookie = token_of(kit, who) if who else b""

    sent = await ask(
        app, "/ws", cookie=cookie, type="websocket", scheme="wss", subprotocols=[], receive=connect, **scope
    )

    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("way", list(WAYS))
def test_a_handshake_of_who_may_is_let_in(way: str) -> None:
    app, kit = socket_app(**WAYS[way])

    with signed_in(client_of(app), kit, ADMIN).websocket_connect("wss://testserver/ws") as socket:
        assert socket.receive_text() == "in"


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize(("method", "is_guarded"), [("GET", True), ("POST", False)])
def test_a_handshake_is_a_get_to_rules_that_name_methods(way: str, method: str, is_guarded: bool) -> None:
    guard = RouterGuard(protect=[Rule("/ws", role="admin", methods=[method])])
    app, _ = socket_app(**{name: given and guard for name, given in WAYS[way].items()})

    if is_guarded:
        with pytest.raises(WebSocketDisconnect), client_of(app).websocket_connect("wss://testserver/ws"):
            pass
    else:
        with client_of(app).websocket_connect("wss://testserver/ws") as connection:
            assert connection.receive_text() == "in"


def test_an_unknown_websocket_is_behind_the_gate() -> None:
    app, _ = socket_app(RouterGuard(global_protect=True))

    with pytest.raises(WebSocketDisconnect), client_of(app).websocket_connect("wss://testserver/nowhere"):
        pass


@pytest.mark.anyio
async def test_a_websocket_at_an_ambiguous_path_is_refused() -> None:
    app, kit = socket_app(RouterGuard())

    sent = await ask(
        app, "/ws\n", cookie=token_of(kit, ADMIN), type="websocket", scheme="wss", subprotocols=[], receive=connect
    )

    assert sent == [{"type": "websocket.close", "code": 1008}]
