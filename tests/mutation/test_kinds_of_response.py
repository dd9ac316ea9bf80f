"""The mutation helpers on every kind of response, from every kind of endpoint."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from fastapi.sse import EventSourceResponse
from starlette.types import Receive, Scope, Send

from fastapi_sessionkit import (
    SessionKit,
    clear_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.mutation.support import Change, in_a_dependency
from tests.support import ADA, COOKIE, AppSession, RecordingStore, application


def returned_dict(app: FastAPI, change: Change) -> None:
    @app.post("/")
    async def endpoint(request: Request) -> dict[str, int]:
        change(request)
        return {"done": 1}


def returned_dict_from_def(app: FastAPI, change: Change) -> None:
    @app.post("/")
    def endpoint(request: Request) -> dict[str, int]:
        change(request)
        return {"done": 1}


def redirect(app: FastAPI, change: Change) -> None:
    @app.post("/")
    async def endpoint(request: Request) -> Response:
        change(request)
        return RedirectResponse("/elsewhere", 303)


def redirect_from_def(app: FastAPI, change: Change) -> None:
    @app.post("/")
    def endpoint(request: Request) -> Response:
        change(request)
        return RedirectResponse("/elsewhere", 303)


def streaming(app: FastAPI, change: Change) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    @app.post("/")
    async def endpoint(request: Request) -> Response:
        change(request)
        return StreamingResponse(body())


def streaming_from_def(app: FastAPI, change: Change) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        yield b"b"

    @app.post("/")
    def endpoint(request: Request) -> Response:
        change(request)
        return StreamingResponse(body())


def events(app: FastAPI, change: Change) -> None:
    """An endpoint that yields runs once the response has started: what it depends on may still change something."""

    @app.post("/", response_class=EventSourceResponse, dependencies=[Depends(in_a_dependency(change))])
    async def endpoint() -> AsyncIterator[dict[str, int]]:
        yield {"done": 1}


def events_from_def(app: FastAPI, change: Change) -> None:
    @app.post("/", response_class=EventSourceResponse, dependencies=[Depends(in_a_dependency(change))])
    def endpoint() -> Iterator[dict[str, int]]:
        yield {"done": 1}


def events_returned(app: FastAPI, change: Change) -> None:
    async def body() -> AsyncIterator[str]:
        yield "data: 1\n\n"

    @app.post("/")
    async def endpoint(request: Request) -> Response:
        change(request)
        return EventSourceResponse(body())


def in_a_dependency_that_yields(app: FastAPI, change: Change) -> None:
    async def dependency(request: Request) -> AsyncIterator[None]:
        change(request)
        yield

    @app.post("/", dependencies=[Depends(dependency)])
    async def endpoint() -> None: ...


def file(app: FastAPI, change: Change) -> None:
    @app.post("/")
    async def endpoint(request: Request) -> Response:
        change(request)
        return FileResponse(Path(__file__))


def http_exception(app: FastAPI, change: Change) -> None:
    @app.post("/")
    async def endpoint(request: Request) -> None:
        change(request)
        raise HTTPException(404)


def http_exception_from_def(app: FastAPI, change: Change) -> None:
    @app.post("/")
    def endpoint(request: Request) -> None:
        change(request)
        raise HTTPException(404)


def custom_handler(app: FastAPI, change: Change) -> None:
    @app.exception_handler(LookupError)
    async def handler(request: Request, error: Exception) -> Response:
        return JSONResponse({}, 410)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        change(request)
        raise LookupError


def in_a_custom_handler(app: FastAPI, change: Change) -> None:
    @app.exception_handler(LookupError)
    async def handler(request: Request, error: Exception) -> Response:
        change(request)
        return JSONResponse({}, 410)

    @app.post("/")
    async def endpoint() -> None:
        raise LookupError


def background(app: FastAPI, change: Change) -> None:
    @app.post("/")
    async def endpoint(request: Request, tasks: BackgroundTasks) -> None:
        tasks.add_task(print)
        change(request)


KINDS = [
    returned_dict,
    returned_dict_from_def,
    redirect,
    redirect_from_def,
    streaming,
    streaming_from_def,
    events,
    events_from_def,
    events_returned,
    in_a_dependency_that_yields,
    file,
    http_exception,
    http_exception_from_def,
    custom_handler,
    in_a_custom_handler,
    background,
]
Kind = Callable[[FastAPI, Change], None]
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_signing_in_is_saved_on_every_kind_of_response(kit: SessionKit[AppSession], kind: Kind) -> None:
    app, client = application(kit)
    kind(app, lambda request: set_session(request, ADA))

    response = client.post("/")

    assert response.status_code < 500
    assert session_of(client, kit) == ADA
    assert "no-store" in response.headers["cache-control"]


@every_kind
def test_a_change_is_saved_on_every_kind_of_response(kit: SessionKit[AppSession], kind: Kind) -> None:
    app, client = application(kit)
    kind(app, lambda request: update_session(request, tier="premium"))

    signed_in(client, kit, ADA).post("/")

    assert session_of(client, kit) == AppSession(user_id="ada", role="user", tier="premium")


@every_kind
def test_signing_out_is_saved_on_every_kind_of_response(kit: SessionKit[AppSession], kind: Kind) -> None:
    app, client = application(kit)
    kind(app, clear_session)
    signed_in(client, kit, ADA)

    client.post("/")

    assert COOKIE not in client.cookies


@every_kind
def test_the_response_itself_is_left_as_it_is(stored: SessionKit[AppSession], kind: Kind) -> None:
    (app, client), (other, bare) = application(stored), application(stored)
    kind(app, lambda request: set_session(request, ADA))
    kind(other, lambda request: None)

    with_session, without = client.post("/"), bare.post("/")

    assert (with_session.status_code, with_session.content) == (without.status_code, without.content)


@every_kind
def test_a_store_that_fails_at_commit_turns_every_kind_of_response_into_503(
    stored: SessionKit[AppSession], store: RecordingStore, kind: Kind
) -> None:
    app, client = application(stored)
    kind(app, lambda request: set_session(request, ADA))
    store.broken = {"create"}

    response = client.post("/")

    assert (response.status_code, response.json()) == (503, {"detail": "Session storage is unavailable"})
    assert "set-cookie" not in response.headers
    assert response.headers["cache-control"] == "no-store"


def test_what_is_sent_before_the_response_begins_is_no_response(kit: SessionKit[AppSession]) -> None:
    """Starlette's templates tell a test client what they show before they answer."""
    app, client = application(kit)

    async def informing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.debug", "info": {"template": "page", "context": {}}})
        set_session(Request(scope), ADA)
        await Response("done")(scope, receive, send)

    app.mount("/informing", informing)

    assert client.get("/informing/").headers["set-cookie"].startswith(f"{COOKIE}=")
