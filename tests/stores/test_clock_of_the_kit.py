"""A store goes by its kit's clock, also inside a wrapper that passes calls on; unless it was given one of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_sessionkit import MemoryStore, StoreBackend
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import ADA, Clock, app_kit, client_of


class Delegating:
    """Passes everything on."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Clockless(Delegating):
    """Knows of no clock, and takes none."""

    def __getattr__(self, name: str) -> Any:
        if "clock" in name:
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        assert name == "_inner"
        super().__setattr__(name, value)


class Around(MemoryStore):
    """Passes on what it is asked about clocks."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._inner = inner

    def use_clock(self, clock: Callable[[], float]) -> None:
        self._inner.use_clock(clock)


class WithAnAttribute(MemoryStore):
    use_clock = None  # type: ignore[assignment]


STORES: dict[str, Callable[..., Any]] = {
    "memory": MemoryStore,
    "sqlite": lambda **options: SQLStore(Path("x.db"), **options),
    "redis": lambda **options: RedisStore("redis://localhost", **options),
    "attribute": WithAnAttribute,
}
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "none": lambda store: store,
    "delegating": Delegating,
    "twice": lambda store: Delegating(Delegating(store)),
    "explicit": Around,
}
every_store = pytest.mark.parametrize("make", STORES.values(), ids=STORES)


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("make", list(STORES.values())[:3], ids=list(STORES)[:3])
def test_the_store_inside_gets_the_kits_clock(
    make: Callable[..., Any], wrap: Callable[[Any], Any], clock: Clock
) -> None:
    store = make()
    app_kit(backend=wrap(store), clock=clock)

    assert store.clock is clock


def test_a_store_that_has_an_attribute_alone_gets_it_there(clock: Clock) -> None:
    store = WithAnAttribute()
    app_kit(backend=store, clock=clock)

    assert store.clock is clock


@every_store
def test_a_clock_of_its_own_stays(make: Callable[..., Any], clock: Clock) -> None:
    own = Clock()
    store = make(clock=own)
    app_kit(backend=Delegating(store), clock=clock)

    assert store.clock is own


def test_what_has_expired_by_the_kits_clock_has_for_the_store_in_a_wrapper(clock: Clock) -> None:
    store = MemoryStore()
    kit = app_kit(backend=StoreBackend(Delegating(store)), clock=clock, idle_timeout=60)
    client = signed_in(client_of(FastAPI()), kit, ADA)
    clock.advance(30)

    assert session_of(client, kit) == ADA


def test_a_store_without_a_clock_is_given_none(clock: Clock) -> None:
    kit = app_kit(backend=Clockless(MemoryStore(clock=clock)), clock=clock)

    assert session_of(signed_in(client_of(None), kit, ADA), kit) == ADA
