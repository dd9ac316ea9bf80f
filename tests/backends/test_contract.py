"""Every backend, and wrappers of each, do what ``SessionBackend`` promises."""

import random
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet

from fastapi_sessionkit import ConfigurationError, CookieBackend, MemoryStore, SessionBackend, StoreBackend
from fastapi_sessionkit.testing import SessionBackendContract, signed_in
from tests.docs.pages import ROOT, blocks
from tests.support import ADA, AppSession, Clock, RecordingStore, app_kit, application, new_kit


def _shown(name: str) -> Any:
    """A class as docs/backends.md shows it."""
    page = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    [code] = [block.code for block in blocks(page) if f"class {name}:" in block.code]
    namespace: dict[str, Any] = {}
    exec(code, namespace)  # noqa: S102 (the repository's own documentation)
    return namespace[name]


AuditedBackend, SealedBackend = _shown("AuditedBackend"), _shown("SealedBackend")


def audited(backend: SessionBackend) -> SessionBackend:
    wrapper: SessionBackend = AuditedBackend(backend, lambda _: None)
    return wrapper


class TestSignedCookie(SessionBackendContract):
    is_stateless = True

    async def make_backend(self, clock: Callable[[], float]) -> SessionBackend:
        return CookieBackend()


class TestEncryptedCookie(SessionBackendContract):
    is_stateless = True

    async def make_backend(self, clock: Callable[[], float]) -> SessionBackend:
        return CookieBackend(encrypt=True)


class TestStoreBackend(SessionBackendContract):
    async def make_backend(self, clock: Callable[[], float]) -> SessionBackend:
        return StoreBackend(MemoryStore())


class TestStoreBackendOnAStoreThatWaits(SessionBackendContract):
    async def make_backend(self, clock: Callable[[], float]) -> SessionBackend:
        return StoreBackend(RecordingStore(turns=partial(random.Random(7).randrange, 4)))  # noqa: S311


class TestWrapperOfASignedCookie(SessionBackendContract):
    is_stateless = True

    async def make_backend(self, clock: Callable[[], float]) -> SessionBackend:
        return audited(CookieBackend())


class TestWrapperOfAnEncryptedCookie(SessionBackendContract):
    is_stateless = True

    async def make_backend(self, clock: Callable[[], float]) -> SessionBackend:
        return audited(CookieBackend(encrypt=True))


class TestWrapperOfAStoreBackend(SessionBackendContract):
    async def make_backend(self, clock: Callable[[], float]) -> SessionBackend:
        return audited(StoreBackend(MemoryStore()))


class TestWrapperWithEveryMethodWrittenOut(SessionBackendContract):
    async def make_backend(self, clock: Callable[[], float]) -> SessionBackend:
        wrapper: SessionBackend = SealedBackend(StoreBackend(MemoryStore()), Fernet.generate_key())
        return wrapper


# What a kit takes for a backend


WRAPPERS: dict[str, Callable[[StoreBackend], Any]] = {
    "every method written out": lambda backend: SealedBackend(backend, Fernet.generate_key()),
    "__getattr__": audited,
    "both": lambda backend: audited(SealedBackend(backend, Fernet.generate_key())),
}


@pytest.mark.anyio
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
async def test_a_wrapper_of_a_store_backend_keeps_every_ability(
    wrap: Callable[[StoreBackend], Any], clock: Clock
) -> None:
    kit = app_kit(backend=wrap(StoreBackend(MemoryStore())), max_sessions_per_user=2, clock=clock)
    signed_in(application(kit)[1], kit, AppSession(user_id="bob"))
    for _ in range(3):
        signed_in(application(kit)[1], kit, ADA)
    listed = await kit.sessions.list("ada")

    assert [active.session for active in listed] == [ADA, ADA]
    assert await kit.sessions.revoke(listed[0].handle) is True
    assert await kit.sessions.update_user("ada", tier="premium") == 1
    assert await kit.sessions.revoke_user("ada") == 1
    clock.advance(31 * 86_400)
    assert await kit.sessions.purge() == 1


def test_a_wrapper_of_a_cookie_can_list_no_more_than_the_cookie() -> None:
    with pytest.raises(ConfigurationError, match="max_sessions_per_user needs sessions that are kept"):
        new_kit(backend=audited(CookieBackend()), max_sessions_per_user=2)


def methods_of(made: object) -> dict[str, Any]:
    return {name: getattr(made, name) for name in dir(made) if not name.startswith("_")}


def test_what_lacks_a_method_is_no_backend_and_is_told_which() -> None:
    methods = methods_of(CookieBackend())

    new_kit(backend=SimpleNamespace(**methods))
    with pytest.raises(ConfigurationError, match=r"takes a SessionBackend, .* has no touch$"):
        new_kit(backend=SimpleNamespace(**{**methods, "touch": None}))


def test_what_lacks_a_method_is_no_store_and_is_told_which() -> None:
    methods = methods_of(MemoryStore())
    without = SimpleNamespace(**{**methods, "purge": None, "aclose": None})

    new_kit(backend=SimpleNamespace(**methods))
    with pytest.raises(ConfigurationError, match=r"takes a SessionStore, .* has no aclose, purge$"):
        new_kit(backend=without)
    with pytest.raises(ConfigurationError, match=r"takes a SessionStore .* has no aclose, purge$"):
        StoreBackend(without)


def test_what_has_little_of_either_is_told_what_is_taken() -> None:
    with pytest.raises(ConfigurationError, match="takes a SessionBackend or a SessionStore"):
        new_kit(backend=SimpleNamespace(get=None, aclose=lambda: None))


def test_a_store_that_tells_of_no_changes_can_be_watched_all_the_same() -> None:
    class Untelling(MemoryStore):
        watch = None  # type: ignore[assignment]

    StoreBackend(Untelling()).watch("key", lambda: None)()
