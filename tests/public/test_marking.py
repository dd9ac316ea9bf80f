"""``@public`` is a mark on the endpoint itself."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.endpoints import HTTPEndpoint

from fastapi_sessionkit import ConfigurationError, public
from fastapi_sessionkit.markers import is_public


async def plain() -> None: ...


class Page(HTTPEndpoint): ...


class Served:
    def __call__(self) -> None: ...

    def method(self) -> None: ...


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


def test_the_mark_keeps_the_function_itself() -> None:
    def endpoint() -> None: ...

    assert public(endpoint) is endpoint
    assert is_public(endpoint)


def test_what_is_not_marked_is_not_public() -> None:
    assert not any(map(is_public, [plain, Page, Served(), partial(plain), None]))


@pytest.mark.parametrize("wrap", [logged, partial, lambda function: logged(partial(logged(function)))])
def test_a_wrapper_keeps_the_mark(wrap: Callable[..., Any]) -> None:
    @public
    def endpoint() -> None: ...

    assert is_public(wrap(endpoint))


@pytest.mark.parametrize("endpoint", [partial(plain), Served()])
def test_partials_and_objects_carry_the_mark(endpoint: Any) -> None:
    assert is_public(public(endpoint))
    assert not is_public(plain)


def test_a_marked_method_is_marked_on_every_object() -> None:
    class Pages:
        @public
        def page(self) -> None: ...

    assert is_public(Pages().page)


def test_attack_a_subclass_or_an_object_of_a_marked_class_is_not_marked() -> None:
    @public
    class Open(HTTPEndpoint): ...

    class Secret(Open): ...

    @public
    class OpenCallable:
        def __call__(self) -> None: ...

    assert is_public(Open)
    assert not is_public(Secret)
    assert not is_public(OpenCallable())


def test_attack_marking_a_wrapper_does_not_mark_what_is_inside() -> None:
    def endpoint() -> None: ...

    public(logged(endpoint))

    assert not is_public(endpoint)


@pytest.mark.parametrize("thing", ["/page", None, 1, FastAPI(), APIRouter()])
def test_the_mark_is_refused_on_what_serves_no_single_route(thing: Any) -> None:
    with pytest.raises(ConfigurationError, match="marks the endpoint of a route"):
        public(thing)


@pytest.mark.parametrize("thing", [Served().method, len, int])
def test_the_mark_is_refused_where_it_can_not_be_put(thing: Any) -> None:
    with pytest.raises(ConfigurationError, match="can't put its mark"):
        public(thing)
