"""Settings that take a list: one string, bytes and a mapping are refused, whoever takes them."""

from collections.abc import Callable
from typing import Any

import pytest

from fastapi_sessionkit import ConfigurationError, RouterGuard, Rule

TAKERS: list[Callable[[Any], object]] = [
    lambda values: Rule("/a", roles=values),
    lambda values: Rule("/a", permissions=values),
    lambda values: Rule("/a", methods=values),
    lambda values: RouterGuard(protect=values),
    lambda values: RouterGuard(exclude=values, global_protect=True),
]


@pytest.mark.parametrize("take", TAKERS, ids=["roles", "permissions", "methods", "protect", "exclude"])
@pytest.mark.parametrize("values", ["GET", b"GET", {"GET": False}, 7, True], ids=repr)
def test_what_is_no_list_is_a_configuration_error_that_shows_one(take: Callable[[Any], object], values: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"takes a list such as \["):
        take(values)


@pytest.mark.parametrize(
    "values", [["GET"], ("GET",), {"GET"}, iter(["GET"])], ids=["list", "tuple", "set", "iterator"]
)
def test_any_other_iterable_is_a_list(values: Any) -> None:
    assert Rule("/a", methods=values).methods == frozenset({"GET", "HEAD"})
