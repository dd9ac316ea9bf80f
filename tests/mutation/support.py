"""The application, the store and the model that the tests of the mutation helpers share."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Request, WebSocket
from fastapi.testclient import TestClient

from fastapi_sessionkit import (
    SessionKit,
    clear_session,
    reauthenticate_session,
    regenerate_session,
    set_session,
    update_session,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import ADA, AppSession, application


def runs(kit: SessionKit[AppSession], change: Callable[[Request], Any], session: AppSession | None = ADA) -> TestClient:
    """A client, signed in, after one request that changed something."""
    app, client = application(kit)

    @app.post("/")
    async def endpoint(request: Request) -> None:
        result = change(request)
        if result is not None:
            await result

    if session is not None:
        signed_in(client, kit, session)
    assert client.post("/").status_code == 200
    return client


Change = Callable[[Request], None]


def in_a_dependency(change: Change) -> Callable[[Request], None]:
    async def dependency(request: Request) -> None:
        change(request)

    return dependency  # type: ignore[return-value]


HELPERS: list[Callable[[Request | WebSocket], None]] = [
    lambda connection: set_session(connection, ADA),
    lambda connection: update_session(connection, tier="premium"),
    clear_session,
    reauthenticate_session,
    regenerate_session,
]
every_helper = pytest.mark.parametrize(
    "helper", HELPERS, ids=["set", "update", "clear", "reauthenticate", "regenerate"]
)
