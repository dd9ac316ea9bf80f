"""The errors, who may answer them, and what works although something else has failed."""

from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse, PlainTextResponse

from fastapi_sessionkit import (
    Forbidden,
    MemoryStore,
    NotAuthenticated,
    RouterGuard,
    Rule,
    Session,
    SessionKitError,
    SessionRecord,
    clear_session,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import app_kit, client_of, holding, new_kit


def test_every_error_has_one_root_and_refusals_are_http_exceptions() -> None:
    assert issubclass(NotAuthenticated, SessionKitError)
    assert (NotAuthenticated().status_code, Forbidden().status_code) == (401, 403)


def test_an_application_may_answer_refusals_itself() -> None:
    app = FastAPI()
    app_kit().install(app, guard=RouterGuard([Rule("/guarded")]))

    @app.exception_handler(NotAuthenticated)
    async def sign_in_first(request: Request, error: Exception) -> Response:
        return PlainTextResponse("sign in first", 418)

    @app.get("/asked")
    async def asked(request: Request) -> None:
        raise NotAuthenticated

    client = client_of(app)

    assert [client.get(path).status_code for path in ("/guarded", "/asked")] == [418, 418]


def test_signing_out_of_a_store_that_is_full_works() -> None:
    class Full(MemoryStore):
        async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
            raise OSError("no space left")

    kit = new_kit(backend=Full())
    app = FastAPI()
    kit.install(app)

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)

    client = signed_in(client_of(app), kit, Session(user_id="ada"))
    token = client.cookies[kit.cookie_name]

    assert client.post("/logout").status_code == 200
    assert session_of(holding(client, token), kit) is None


def test_a_helper_in_a_handler_of_every_exception_says_it_comes_too_late() -> None:
    kit = new_kit()
    app = FastAPI()
    kit.install(app)
    said: list[str] = []

    @app.exception_handler(Exception)
    async def handler(request: Request, error: Exception) -> JSONResponse:
        try:
            clear_session(request)
        except SessionKitError as late:
            said.append(str(late))
        return JSONResponse({}, 400)

    @app.get("/")
    async def endpoint() -> None:
        raise RuntimeError

    client = client_of(app, raise_server_exceptions=False)
    client.get("/")

    assert len(said) == 1
    assert "came too late" in said[0]
