"""The wrapper that docs/backends.md shows keeps the grace of an old id, and its store sees nothing of the sessions."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from fastapi import Request

from fastapi_sessionkit import MemoryStore, StoreBackend, regenerate_session, update_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.docs.pages import ROOT, blocks
from tests.support import ADA, COOKIE, RecordingStore, app_kit, application, holding


def sealed(store: MemoryStore) -> Any:
    """The store behind the wrapper, as the page has it."""
    page = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    [code] = [block.code for block in blocks(page) if "class SealedBackend:" in block.code]
    namespace: dict[str, Any] = {}
    exec(code, namespace)  # noqa: S102 (the repository's own documentation)
    return namespace["SealedBackend"](StoreBackend(store), Fernet.generate_key())


@pytest.mark.parametrize("promotes", [False, True])
def test_an_old_id_in_its_grace_has_the_rights_it_had(*, promotes: bool) -> None:
    kit = app_kit(backend=sealed(MemoryStore()))
    app, client = application(kit)

    @app.post("/move")
    async def move(request: Request) -> None:
        await kit.require_session(request)
        regenerate_session(request)
        if promotes:
            update_session(request, roles=["admin"])

    old = signed_in(client, kit, ADA).cookies[COOKIE]
    client.post("/move")

    assert session_of(holding(client, old), kit) == ADA


def test_the_store_sees_nothing_of_a_session() -> None:
    store = RecordingStore()
    kit = app_kit(backend=sealed(store))
    signed_in(application(kit)[1], kit, ADA.model_copy(update={"note": "vermilion"}))

    assert store.calls == ["create"]
    assert "vermilion" not in repr(store.arguments)
