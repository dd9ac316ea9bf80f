"""An application in which everything happens that there is an event for."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from fastapi_sessionkit import (
    RouterGuard,
    Rule,
    SessionKit,
    clear_session,
    reauthenticate_session,
    regenerate_session,
    set_session,
    update_session,
)
from tests.support import ADA, AppSession

ALL = (
    "signed_in", "signed_out", "rotated", "updated", "revoked", "expired", "denied", "refused_origin", "invalid_token",
    "store_error",
)  # fmt: skip


def eventful_application(kit: SessionKit[AppSession]) -> FastAPI:  # noqa: C901 - an endpoint for each event
    app = FastAPI()
    kit.install(app, guard=RouterGuard([Rule("/admin/**", role="admin")]))

    @app.post("/in")
    async def sign_in(request: Request) -> None:
        set_session(request, ADA)

    @app.post("/token")
    async def token(request: Request) -> str:
        return await kit.issue_token(request, ADA)

    @app.post("/plain/in")
    def sign_in_from_a_thread(request: Request) -> None:
        set_session(request, ADA)

    @app.post("/out")
    async def sign_out(request: Request) -> None:
        clear_session(request)

    @app.post("/rotate")
    async def rotate(request: Request) -> None:
        regenerate_session(request)

    @app.post("/again")
    async def again(request: Request) -> None:
        reauthenticate_session(request)

    @app.post("/note")
    async def note(request: Request) -> None:
        update_session(request, note="a secret note")

    @app.post("/promote")
    async def promote(request: Request) -> None:
        update_session(request, role="admin")

    @app.post("/fails")
    async def fails(request: Request) -> None:
        set_session(request, ADA)
        raise RuntimeError

    @app.get("/who")
    async def who(session: Annotated[AppSession | None, Depends(kit.get_session)]) -> str:
        return "nobody" if session is None else session.user_id

    @app.get("/desk", dependencies=[Depends(kit.require_role("editor"))])
    async def desk() -> None: ...

    @app.get("/open")
    async def open_page() -> None: ...

    return app


def told(kit: SessionKit[Any], *names: str) -> list[Any]:
    """What a handler has been told of, by now."""
    events: list[Any] = []
    kit.on(*(names or ALL))(events.append)  # type: ignore[arg-type]
    return events
