"""Every method of a store and of a backend times what it may do wrong: a 503, and nothing is half done."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request

from fastapi_sessionkit import (
    MemoryStore,
    Rule,
    SessionKit,
    StoreBackend,
    StoreUnavailable,
)
from tests.attacks.misbehaving import (
    MARKS,
    WRONG,
    Halt,
    Ran,
    sound,
    stored,
    token_of,
)
from tests.support import ADA, AppSession, Clock, app_kit, client_of, holding

pytestmark = MARKS


# Stores


# For each method the paths that need it, and those ways that are none wrong: a number is as good as a truth value.
STORE = {
    "get": ("/guarded /depends /change /promote /who /out", {"gives None, async"}),
    "create": ("/in /promote", {"gives a number, async"}),
    "replace": ("/change /promote /guarded", {"gives a number, async"}),
}


@pytest.mark.parametrize("method", STORE)
async def test_attack_a_store_that_misbehaves_is_503_and_nothing_is_changed(method: str, clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)
    paths, fine = STORE[method]

    for what, wrong in WRONG.items():
        if what in fine:
            continue
        setattr(store, method, wrong)
        for path in paths.split():
            status, headers, _ = await ran.answer(path, token)
            assert status in {0, 503}, (what, path)
            assert b"set-cookie" not in headers
        assert await stored(store, clock, token) == ADA, what
        assert len(await sound(store).list_user("eve")) == 0, what
    assert "depends" not in ran.ran


async def test_a_touch_that_misbehaves_keeps_nobody_out(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    ran = Ran(kit, protect=[], required=kit.require_session)
    token = token_of(kit, ran.app)
    clock.now += 86_400

    for what, wrong in WRONG.items():
        store.touch = wrong  # type: ignore[method-assign]
        status, _, body = await ran.answer("/who", token)
        is_halted = "halts" in what or "cancelled" in what
        assert (status, body) == ((0, b"") if is_halted else (200, b'"ada"')), what


async def test_attack_a_delete_that_misbehaves_signs_out_whoever_was_told_so(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    ran = Ran(kit, protect=[], required=kit.require_session)

    for what, wrong in WRONG.items():
        token = token_of(app_kit(backend=sound(store), clock=clock), ran.app)
        store.delete = wrong  # type: ignore[method-assign]
        status, headers, _ = await ran.answer("/out", token)
        assert status in {0, 200, 503}, what
        assert (b"set-cookie" in headers) is (status == 200), what
        assert await stored(store, clock, token) is None, what


@pytest.mark.parametrize("method", ["list_user", "delete_user", "purge"])
async def test_attack_a_listing_that_misbehaves_is_an_error_and_no_answer(method: str, clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    token_of(kit, FastAPI())
    ask = {
        "list_user": lambda: kit.sessions.list("ada"),
        "delete_user": lambda: kit.sessions.revoke_user("ada"),
        "purge": kit.sessions.purge,
    }[method]

    for what, wrong in WRONG.items():
        if method == "list_user" or what != "gives a number, async":
            setattr(store, method, wrong)
            with pytest.raises((StoreUnavailable, Halt, asyncio.CancelledError)):
                await ask()


# Backends


BACKEND = {
    "load": ("/guarded /depends /change /promote /who /out", {"gives None, async"}),
    "create": ("/in", {"gives a text, async"}),
    "update": ("/change", {"gives None, async"}),
    "rotate": ("/promote", {"gives None, async"}),
    "delete": ("/out", {"gives None, async"}),
}


@pytest.mark.parametrize("method", BACKEND)
async def test_attack_a_backend_that_misbehaves_lets_nobody_in(method: str, clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    backend = StoreBackend(store)
    kit = app_kit(backend=backend, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)
    paths, fine = BACKEND[method]

    for what, wrong in WRONG.items():
        if what in fine:
            continue
        setattr(backend, method, wrong)
        for path in paths.split():
            status, headers, _ = await ran.answer(path, token)
            assert status in {0, 500, 503}, (what, path)
            assert b"set-cookie" not in headers
        assert await stored(store, clock, token) == ADA, what
    assert not {"guarded", "depends"} & set(ran.ran)


@pytest.mark.parametrize("method", STORE)
async def test_attack_a_request_that_is_given_up_in_the_store_changes_nothing(method: str, clock: Clock) -> None:
    """How long a store may hang is the store's business: it fails in the end, and nobody waits for it any more."""
    store = MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)

    async def fails_late(*_: Any, **__: Any) -> Any:
        for _turn in range(20):
            await asyncio.sleep(0)
        raise ConnectionError

    setattr(store, method, fails_late)
    for path in STORE[method][0].split():
        request = asyncio.ensure_future(ran.answer(path, token))
        for _ in range(10):
            await asyncio.sleep(0)
        request.cancel()
        assert (await request)[0] in {0, 503}, path

    assert await stored(store, clock, token) == ADA
    assert await sound(store).list_user("eve") == []
    assert not {"guarded", "depends"} & set(ran.ran) or method == "replace"


async def test_a_backends_touch_that_misbehaves_keeps_nobody_out(clock: Clock) -> None:
    backend = StoreBackend(MemoryStore(clock=clock))
    kit = app_kit(backend=backend, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)
    clock.now += 86_400

    for what, wrong in WRONG.items():
        backend.touch = wrong  # type: ignore[method-assign]
        status, headers, body = await ran.answer("/who", token)
        is_halted = "halts" in what or "cancelled" in what
        assert (status, body) == ((0, b"") if is_halted else (200, b'"ada"')), what
        assert (b"set-cookie" in headers) is (what == "gives a text, async"), what


async def test_attack_a_backends_overflow_that_misbehaves_lets_nothing_be_saved(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    backend = StoreBackend(store)
    kit = app_kit(backend=backend, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)

    for what, wrong in WRONG.items():
        backend.overflow = wrong  # type: ignore[method-assign]
        for path in ("/in", "/change", "/promote"):
            status, headers, _ = await ran.answer(path, token)
            assert status in {0, 500, 503}, (what, path)
            assert b"set-cookie" not in headers
        assert (await ran.answer("/who", token))[::2] == (200, b'"ada"'), what
    assert await stored(store, clock, token) == ADA
    assert await store.list_user("eve") == []


async def test_attack_a_backend_that_can_not_say_why_still_says_nobody(clock: Clock) -> None:
    backend = StoreBackend(MemoryStore(clock=clock))
    kit = app_kit(backend=backend, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    given: list[Any] = []

    @ran.app.get("/why")
    async def why(request: Request, _: Annotated[Any, Depends(kit.get_session)]) -> None:
        given.append(kit.session_reason(request))

    client = holding(client_of(ran.app), "junk.junk")
    for what, wrong in WRONG.items():
        backend.absence = wrong  # type: ignore[method-assign]
        if what != "halts":
            assert [client.get("/who").json(), client.post("/guarded").status_code] == ["nobody", 401], what
            client.get("/why")
    assert set(given) == {"unknown_id"}


DIRECTORY: dict[str, list[Callable[[SessionKit[AppSession]], Any]]] = {
    "of_user": [lambda kit: kit.sessions.list("ada"), lambda kit: kit.sessions.update_user("ada", note="x")],
    "end": [lambda kit: kit.sessions.revoke("0" * 64)],
    "end_user": [lambda kit: kit.sessions.revoke_user("ada")],
    "purge": [lambda kit: kit.sessions.purge()],
    "update": [lambda kit: kit.sessions.update_user("ada", note="x")],
}


@pytest.mark.parametrize("method", DIRECTORY)
async def test_attack_a_directory_that_misbehaves_is_an_error_and_no_answer(method: str, clock: Clock) -> None:
    """A coroutine is true: nobody must be told that a session has ended that is still there."""
    store = MemoryStore(clock=clock)
    backend = StoreBackend(store)
    kit = app_kit(backend=backend, clock=clock)
    told: list[Any] = []
    kit.on("revoked", "updated")(told.append)
    token = token_of(kit, FastAPI())
    fine = {"end_user": "gives a number, async", "purge": "gives a number, async", "update": "gives None, async"}

    for what, wrong in WRONG.items():
        if what != fine.get(method):
            setattr(backend, method, wrong)
            for ask in DIRECTORY[method]:
                with pytest.raises((StoreUnavailable, LookupError, TypeError, Halt, asyncio.CancelledError)) as raised:
                    await ask(kit)
                assert "async" not in what or raised.type is not TypeError, what
    await kit.services.events.flush(1)
    assert told == []
    assert await stored(store, clock, token) == ADA


@pytest.mark.parametrize("of", ["store", "backend"])
def test_an_aclose_that_misbehaves_keeps_no_application_from_ending(of: str, clock: Clock) -> None:
    ended: list[str] = []
    for what, wrong in WRONG.items():
        if "halts" in what or "cancelled" in what:
            continue
        backend = StoreBackend(MemoryStore(clock=clock))
        keeper: Any = backend if of == "backend" else backend.store
        keeper.aclose = wrong
        app = FastAPI(on_shutdown=[partial(ended.append, what)])
        app_kit(backend=backend, clock=clock).install(app)
        with client_of(app):
            pass
        assert ended[-1:] == [what]
