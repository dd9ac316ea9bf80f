"""Every hook times what it may do wrong: nobody is let in by it, and nothing is half done.

A hook raises, raises what is no ``Exception``, gives ``None`` or something of another type, forgets an ``await``, or hangs
until the request is cancelled. The answer is a refusal, a 503 or as if it had not been asked.
"""

import threading
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest
from itsdangerous import TimestampSigner

from fastapi_sessionkit import (
    CookieBackend,
    MemoryStore,
    Rule,
    StoreBackend,
)
from tests.attacks.misbehaving import MARKS, WRONG, Hook, Ran, deciding, every_deciding, hangs, sound, stored, token_of
from tests.support import ADA, Clock, RecordingStore, app_kit

pytestmark = MARKS


@every_deciding
async def test_attack_what_decides_and_misbehaves_lets_nobody_in(name: str, clock: Clock) -> None:
    hook, ran, store, token = deciding(name, clock)
    assert (await ran.answer("/guarded", token))[0] == 200
    ran.ran.clear()
    store.calls.clear()

    for what, hook.behaviour in WRONG.items():
        for path in ("/guarded", "/depends"):
            for cookie in (token, None):
                status, headers, _ = await ran.answer(path, cookie)
                assert status in {0, 401, 403}, (what, path)
                assert b"set-cookie" not in headers
    assert ran.ran == []
    assert set(store.calls) == {"get"}


@every_deciding
async def test_attack_what_decides_and_hangs_lets_nobody_in_when_cancelled(name: str, clock: Clock) -> None:
    hook, ran, store, token = deciding(name, clock)
    hook.behaviour = hangs

    for path in ("/guarded", "/depends"):
        with anyio.move_on_after(0.02):
            assert (await ran.answer(path, token))[0] in {0, 401, 403}
    assert ran.ran == []
    assert await stored(store, clock, token) == ADA


# revalidate and migrate


PATHS = ("/guarded", "/depends", "/change", "/promote")


async def test_attack_a_revalidate_that_misbehaves_is_503_and_changes_nothing(clock: Clock) -> None:
    hook, store = Hook(lambda session: session), RecordingStore()
    kit = app_kit(backend=store, clock=clock, revalidate=hook.awaited, revalidate_every=0)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    token = token_of(kit, ran.app)
    store.calls.clear()

    for what, hook.behaviour in WRONG.items():
        if "None" not in what:  # that ends the session
            for path in PATHS:
                status, headers, _ = await ran.answer(path, token)
                assert status in {0, 503}, (what, path)
                assert b"set-cookie" not in headers
            assert (await ran.answer("/who", token))[0] in {0, 503}, what
    hook.behaviour = hangs
    with anyio.move_on_after(0.02):
        await ran.answer("/guarded", token)

    assert set(ran.ran) <= {"change"}  # it marked what was not saved
    assert set(store.calls) == {"get"}
    assert await stored(store, clock, token) == ADA


async def test_attack_a_migrate_that_misbehaves_is_nobody(clock: Clock) -> None:
    hook, store = Hook(lambda data: data), MemoryStore(clock=clock)
    before = app_kit(backend=store, clock=clock)
    kit = app_kit(backend=store, clock=clock, model_version=2, migrate=lambda data, _: hook(data))
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)

    for what, hook.behaviour in WRONG.items():
        for path in PATHS:
            token = token_of(before, ran.app)
            status, _, _ = await ran.answer(path, token)
            assert status in {0, 401}, (what, path)
        status, _, body = await ran.answer("/who", token_of(before, ran.app))
        assert (status, body) in {(0, b""), (200, b'"nobody"')}, what
    assert set(ran.ran) <= {"change"}


# What takes over another library's sessions


OLD_KEY = "the key of another library, of more than 32 characters"
TAKES_OVER: dict[str, Callable[[Hook, MemoryStore], Any]] = {
    "accept_starlette": lambda hook, _: CookieBackend(accept_starlette=(OLD_KEY, hook)),
    "adopt": lambda hook, store: StoreBackend(store, adopt=hook),
}


@pytest.mark.parametrize("name", TAKES_OVER)
async def test_attack_a_takeover_that_misbehaves_lets_nobody_in(name: str, clock: Clock) -> None:
    hook, store = Hook(lambda _: ADA), MemoryStore(clock=clock)
    kit = app_kit(backend=TAKES_OVER[name](hook, store), clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded")], required=kit.require_session)
    theirs = TimestampSigner(OLD_KEY).sign(b64encode(b"{}")).decode()
    clock.now = time.time()

    assert (await ran.answer("/depends", theirs, "session"))[0] == 200
    ran.ran.clear()
    for what, hook.behaviour in WRONG.items():
        for path in ("/guarded", "/depends", "/change", "/promote"):
            status, headers, _ = await ran.answer(path, theirs + "=" * (name == "adopt"), "session")
            assert status in {0, 401, 500, 503}, (what, path)
            assert b"__Host-" not in headers.get(b"set-cookie", b"")
    assert set(ran.ran) <= {"change"}  # it marked what was not saved
    assert await store.list_user("eve") == []


# Event handlers


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_an_event_handler_that_misbehaves_changes_no_answer(kind: str, clock: Clock) -> None:
    hook, store = Hook(lambda _: None), MemoryStore(clock=clock)
    kit = app_kit(backend=store, clock=clock)
    ran = Ran(kit, protect=[Rule("/guarded", role="admin")], required=kit.require_session)
    kit.on("signed_in", "signed_out", "updated", "rotated", "denied")(hook.awaited if kind == "async" else hook)

    for what, hook.behaviour in WRONG.items():
        token = token_of(app_kit(backend=sound(store), clock=clock), ran.app)
        assert (await ran.answer("/guarded", token))[0] == 403, what
        assert (await ran.answer("/depends", token))[0] == 200, what
        found = await stored(store, clock, token)
        assert found is not None
        assert found.note == "depends", what
        assert (await ran.answer("/out", token))[0] == 200, what
        assert await stored(store, clock, token) is None, what
    told = threading.Event()
    hook.behaviour = lambda event: told.set() if event.name == "signed_in" else None
    await ran.answer("/in", None)

    assert await anyio.to_thread.run_sync(told.wait, 30)
