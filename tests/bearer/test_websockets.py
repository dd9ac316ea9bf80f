"""Handshakes that bring a bearer token, which clients other than browsers can send."""

import pytest
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from fastapi_sessionkit import RouterGuard, Rule
from tests.bearer.support import Site

CROSS_SITE = {"origin": "https://evil.example"}


def said(site: Site, token: str | None, cookie: str | None = None, **headers: str) -> str:
    named = headers if token is None else {"authorization": f"Bearer {token}", **headers}
    with site.client(cookie).websocket_connect("/socket", headers=named) as socket:
        text: str = socket.receive_text()
        return text


def test_a_handshake_with_a_token_is_its_sessions(site: Site) -> None:
    assert said(site, site.token("ada")) == "ada"
    assert said(site, site.token("ada"), site.cookie("grace")) == "ada"


def test_a_handshake_with_an_invalid_token_is_nobody_whatever_the_cookie(site: Site) -> None:
    assert said(site, "nonsense", site.cookie("grace")) == "nobody"


def test_a_handshake_with_a_token_passes_from_any_origin(site: Site) -> None:
    assert said(site, site.token("ada"), **CROSS_SITE) == "ada"
    with pytest.raises((WebSocketDenialResponse, WebSocketDisconnect)):
        said(site, None, site.cookie("grace"), **CROSS_SITE)


def test_the_gate_lets_in_a_handshake_with_a_token_and_refuses_one_without() -> None:
    site = Site(guard=RouterGuard(protect=[Rule("/socket", role="user")]))

    assert said(site, site.token("ada")) == "ada"
    with pytest.raises(WebSocketDenialResponse) as refused:
        said(site, "nonsense")
    assert refused.value.status_code == 401
    assert refused.value.headers.get_list("www-authenticate") == ["Cookie", 'Bearer error="invalid_token"']
