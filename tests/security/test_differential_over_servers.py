"""The same over real servers, whose parsers read the request first."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.differential import GUARDS, MARK, application_with_secrets, spellings

PATIENCE = 60.0
"""Seconds for a server to start, to answer and to end: slow machines take some."""


@dataclass
class Served:
    """An application on a real server with one of its parsers, in a thread of its own."""

    app: FastAPI
    parser: str
    port: int = field(init=False)

    def __post_init__(self) -> None:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            self.app, http=self.parser, ws="none", lifespan="off", log_config=None, access_log=False, loop="asyncio"
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]}, daemon=True)
        self.thread.start()
        _wait_for(lambda: self.server.started)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(PATIENCE)

    def answer(self, request: bytes) -> bytes:
        """Everything that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65_536):
                received += chunk
        return received


def _wait_for(condition: Any) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            pytest.fail("the server did not start")
        threading.Event().wait(0.01)


@dataclass(frozen=True)
class ServedPair:
    guarded: Served
    unguarded: Served

    def check(self, request: bytes) -> None:
        let_out = MARK.encode() in self.unguarded.answer(request)
        kept = self.guarded.answer(request)

        assert MARK.encode() not in kept, request
        assert not let_out or not kept.startswith(b"HTTP/1.1 200"), request


@pytest.fixture(scope="module", params=["h11", "httptools"])
def served(request: pytest.FixtureRequest, files: Path) -> Iterator[ServedPair]:
    parser = request.param
    pair = ServedPair(
        Served(application_with_secrets(files, GUARDS["rules"]()), parser),
        Served(application_with_secrets(files, None), parser),
    )
    yield pair
    pair.guarded.stop()
    pair.unguarded.stop()


def http(target: bytes, method: bytes = b"GET", extra: bytes = b"") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n" + extra + b"\r\n"


TARGETS = [
    b"/admin",
    b"/admin/",
    b"//admin",
    b"/./admin",
    b"/open/../admin",
    b"/open/%2e%2e/admin",
    b"/open/..%2fadmin",
    b"/%61dmin",
    b"/%61%64%6d%69%6e",
    b"/%2561dmin",
    b"/%2fadmin",
    b"/admin%2f",
    b"/admin%2fusers",
    b"/admin%2Fusers",
    b"/admin%252fusers",
    b"/admin%5cusers",
    b"/admin%0a",
    b"/admin%0A",
    b"/admin%0d%0a",
    b"/admin%00",
    b"/admin%09",
    b"/admin%20",
    b"/admin%c2%85",
    b"/admin%e2%80%a8",
    b"/admin%ff",
    b"/admin%c0%af",
    b"/%c0%afadmin",
    b"/admin%ed%a0%80",
    b"/admin;x=1",
    b"/admin/;x=1/users",
    b"/admin?",
    b"/admin?x=/open",
    b"/admin#x",
    b"/admin%23",
    b"/admin%3f",
    b"/ADMIN",
    b"/admin/users%0a",
    b"/admin/users/%2e%2e",
    b"/admin/files/%2e%2e/%2e%2e/x",
    b"/caf%c3%a9",
    b"/caf\xc3\xa9",
    b"/caf%e9",
    b"/cafe%cc%81",
    b"/a%20b/c",
    b"/a+b/c",
    b"/sub/",
    b"/sub/secret",
    b"/sub%2fsecret",
    b"/sub//secret",
    b"/sub/%2e/secret",
    b"/sub/secret%0a",
    b"/static/private/secret.txt",
    b"/static/public/../private/secret.txt",
    b"/static/public/%2e%2e/private/secret.txt",
    b"/static/public/..%2fprivate/secret.txt",
    b"/static/public%2f..%2fprivate%2fsecret.txt",
    b"/static%2fprivate%2fsecret.txt",
    b"/static//private/secret.txt",
    b"/static/private%2fsecret.txt",
    b"/static/private/a%20b.txt",
    b"/static%5cprivate%5csecret.txt",
    b"/static/private/secret.txt%00",
    b"/starlette/hidden",
    b"/starlette/hidden%0a",
    b"/docs",
    b"/docs%0a",
    b"http://testserver/admin",
    b"http://testserver/open/../admin",
    b"http://testserver:80/admin/users",
    b"http://evil.example/sub/secret",
    b"https://testserver/admin",
    b"HTTP://testserver/admin",
    b"http://user:password@testserver/admin",
    b"http:///admin",
    b"http:admin",
    b"ws://testserver/admin",
    b"//testserver/admin",
    b"///admin",
    b"*",
    b"admin",
    b"\\admin",
    b"/\\admin",
    b"/admin\x00",
    b"/admin\x0b",
    b"/admin\xff",
    b"?/admin",
    b"#/admin",
    b"",
]
SMUGGLED = [
    http(b"/admin", b"get"),
    http(b"/admin", b"HEAD"),
    http(b"/admin/users", b"OPTIONS"),
    http(b"*", b"OPTIONS"),
    http(b"testserver:80", b"CONNECT"),
    http(b"/admin", b"TRACE"),
    http(b"/admin", b"POST", b"X-HTTP-Method-Override: GET\r\n"),
    http(b"/open", extra=b"X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\n"),
    http(b"/open", extra=b"X-Forwarded-Prefix: /admin\r\nX-Script-Name: /admin\r\n"),
    http(b"/admin", extra=b"Upgrade: websocket\r\n"),
    http(b"/admin", extra=b"Upgrade: h2c\r\n"),
    b"GET /admin HTTP/1.0\r\n\r\n",
    b"GET /admin\r\n\r\n",
    b"GET  /admin HTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n\r\n",
    b"GET\t/admin\tHTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n\r\n",
]
BEHIND_ANOTHER = [
    http(b"/admin/users", b"OPTIONS", b"Origin: http://testserver\r\nAccess-Control-Request-Method: GET\r\n"),
    b"GET /open HTTP/1.1\r\nHost: testserver\r\nContent-Length: 0\r\n\r\n" + http(b"/admin"),
    b"GET /open HTTP/1.1\r\nHost: testserver\r\nContent-Length: 4\r\n\r\nbody" + http(b"/admin/users"),
    b"POST /open HTTP/1.1\r\nHost: testserver\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + http(b"/admin"),
]


def test_the_unguarded_server_does_let_secrets_out_under_odd_spellings(served: ServedPair) -> None:
    odd = [b"/admin%0a", b"/%61dmin", b"/static/public/..%2fprivate/secret.txt", b"/sub%2fsecret", b"/admin%2fusers"]

    assert all(MARK.encode() in served.unguarded.answer(http(target)) for target in odd)


@pytest.mark.parametrize("target", TARGETS)
def test_attack_over_a_server_by_spelling_a_protected_path_in_another_way(served: ServedPair, target: bytes) -> None:
    served.check(http(target))


@pytest.mark.parametrize("request_bytes", SMUGGLED)
def test_attack_over_a_server_by_an_odd_request(served: ServedPair, request_bytes: bytes) -> None:
    served.check(request_bytes)


@pytest.mark.parametrize("request_bytes", BEHIND_ANOTHER)
def test_attack_over_a_server_behind_a_request_that_may_pass(served: ServedPair, request_bytes: bytes) -> None:
    """An open page, or a CORS preflight, is answered with 200; what is protected is not in it."""
    assert MARK.encode() in served.unguarded.answer(request_bytes)
    assert MARK.encode() not in served.guarded.answer(request_bytes)


@st.composite
def targets(draw: st.DrawFn) -> bytes:
    """Spellings, some of their characters percent-encoded once or twice, and sometimes in absolute form."""
    encoded = b""
    for byte in draw(spellings()).encode():
        must = byte <= 0x20 or byte == 0x7F
        form = draw(st.sampled_from(["as it is", "as it is", "as it is", "once", "twice"]))
        if form == "as it is" and not must:
            encoded += bytes([byte])
        else:
            encoded += (b"%%25%02x" if form == "twice" else b"%%%02x") % byte
    return draw(st.sampled_from([b"", b"", b"", b"http://testserver", b"http://evil.example:81"])) + encoded


@given(target=targets(), method=st.sampled_from([b"GET", b"GET", b"GET", b"HEAD", b"POST", b"OPTIONS"]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_attack_over_a_server_by_any_spelling_that_can_be_generated(
    served: ServedPair, target: bytes, method: bytes
) -> None:
    served.check(http(target, method))
