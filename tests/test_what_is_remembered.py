"""What a process remembers of sessions between requests, for speed: bounded, however many there are and however large."""

from dataclasses import replace
from typing import Any

import pytest
from fastapi import Request

from fastapi_sessionkit import CookieBackend, MemoryStore, Session, SessionRecord, StoreBackend
from fastapi_sessionkit._request import reading
from fastapi_sessionkit.backends import BackendContext, records, signed, stored
from fastapi_sessionkit.backends.keys import new_session_id
from fastapi_sessionkit.testing import signed_in
from tests.reasons.support import site_of
from tests.support import SECRET, Clock, application, new_kit


@pytest.mark.anyio
async def test_so_many_tokens_are_remembered_and_no_more(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_REMEMBERED", 2)
    async with site_of(MemoryStore(clock=clock), clock) as site:
        tokens = [await site.token() for _ in range(3)]
        for token in tokens:
            await site.send("/out", token)

        assert [await site.reason(token) for token in reversed(tokens)] == ["ended", "ended", "unknown_id"]


class Engine(MemoryStore):
    """Gives a record of its own to each request, as what comes over a wire is."""

    async def get(self, key: str) -> SessionRecord | None:
        record = await super().get(key)
        return record and replace(record)


@pytest.mark.parametrize(("over", "kept"), [(0, True), (1, False)], ids=["of the limit", "over it"])
def test_a_session_over_a_limit_is_read_anew_and_not_kept(
    over: int, kept: bool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, client = application(kit := new_kit(backend=(store := Engine(clock=clock)), clock=clock))
    roles = []

    @app.get("/")
    async def endpoint(request: Request) -> None:
        session = await kit.require_session(request)
        roles.append(session.roles)

    signed_in(client, kit, Session(user_id="ada", roles=("editor",)))
    (record,) = store._records.values()  # noqa: SLF001
    monkeypatch.setattr(reading, "_MEMORABLE", len(record.data) - over)
    client.get("/")
    client.get("/")

    assert (roles[0] is roles[1]) is kept


def test_attack_by_a_flood_of_an_error_that_was_made_once() -> None:
    """What is raised for each request, as a failed task raises it, keeps none of the requests before."""
    app, client = application(new_kit())
    new_kit(name="staff").install(app)
    error = RuntimeError("the pool could not be opened")

    @app.get("/")
    async def endpoint() -> None:
        raise error

    sizes = []
    for _ in range(3):
        with pytest.raises(RuntimeError):
            client.get("/")
        sizes.append(sum(map(len, vars(error).values())))

    assert sizes == [2, 2, 2]


def bound(backend: Any, clock: Clock) -> Any:
    backend.bind(BackendContext((SECRET,), "salt", clock, new_session_id, 4_096))
    return backend


async def three_tokens(backend: Any, clock: Clock) -> list[bytes]:
    now = clock()
    records = [SessionRecord(b"%d" % n, "ada", 1, now, now, now, now + 60) for n in range(3)]
    return [(await backend.create(record)).encode() for record in records]


@pytest.mark.anyio
async def test_so_many_signed_sessions_are_remembered_and_no_more(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signed, "_REMEMBERED", 2)
    backend = bound(CookieBackend(), clock)
    tokens = await three_tokens(backend, clock)
    loaded = {token: await backend.load(token) for token in tokens}

    assert [await backend.load(token) is loaded[token] for token in reversed(tokens)] == [True, True, False]


@pytest.mark.anyio
async def test_so_many_verified_ids_are_remembered_and_no_more(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_REMEMBERED", 2)
    backend = bound(StoreBackend(MemoryStore()), clock)
    tokens = await three_tokens(backend, clock)
    keys = {token: (await backend.load(token)).key for token in tokens}

    assert [(await backend.load(token)).key is keys[token] for token in reversed(tokens)] == [True, True, False]


@pytest.mark.anyio
async def test_so_many_old_ids_that_came_again_are_remembered(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_REMEMBERED", 2)
    backend = bound(StoreBackend(MemoryStore()), clock)
    tokens = await three_tokens(backend, clock)
    for token in tokens:
        await backend.rotate(await backend.load(token), lambda record: record, grace=0.0)
        await backend.load(token)

    assert [backend.absence(token) for token in tokens] == ["unknown_id", "superseded", "superseded"]
