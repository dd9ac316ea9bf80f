"""``request.session`` as libraries use it: by the scope, in copies, and when its request is over."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import SessionKitError
from tests.support import client_of, new_kit

Mapping = dict[str, Any]


def serving(answer: Callable[[Mapping], Any]) -> tuple[TestClient, list[Mapping]]:
    """A client of an application that answers with what a function makes of the mapping, and every mapping that there was."""
    app, kept = FastAPI(), list[Mapping]()
    new_kit().install(app, request_session=True)

    @app.post("/begin")
    async def begin(request: Request) -> None:
        request.session.update(seen=["tea"], name="ada")

    @app.get("/read")
    async def read(request: Request) -> Mapping:
        return dict(request.session)

    @app.get("/answer")
    async def answered(request: Request) -> Any:
        mapping = request.scope["session"]  # past Starlette's property
        kept.append(mapping)
        return answer(mapping)

    client = client_of(app)
    client.post("/begin")
    return client, kept


READS: dict[str, Callable[[Mapping], Any]] = {
    "[]": lambda mapping: mapping["name"],
    "get": lambda mapping: mapping.get("name"),
    "in": lambda mapping: "name" in mapping,
    "iter": lambda mapping: next(iter(mapping)),
    "len": len,
    "bool": bool,
    "keys": lambda mapping: list(mapping.keys()),
    "values": lambda mapping: list(mapping.values()),
    "items": lambda mapping: list(mapping.items()),
    "copy": lambda mapping: mapping.copy(),
    "dict": dict,
    "unpacked": lambda mapping: {**mapping},
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_a_response_that_read_it_by_the_scope_varies_by_the_cookie(read: Callable[[Mapping], Any]) -> None:
    client, _ = serving(read)

    assert client.get("/answer").headers["vary"] == "Cookie"


def test_a_change_within_a_value_that_came_by_the_scope_is_saved() -> None:
    client, _ = serving(lambda mapping: mapping["seen"].append("jam"))
    client.get("/answer")

    assert client.get("/read").json()["seen"] == ["tea", "jam"]


COPIES: dict[str, Callable[[Mapping], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda mapping: pickle.loads(pickle.dumps(mapping)),  # noqa: S301 (its own)
    "method": lambda mapping: mapping.copy(),
    "or": lambda mapping: mapping | {},
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())
def test_a_copy_is_a_plain_dict_that_changes_nothing(copied: Callable[[Mapping], Any]) -> None:
    made: list[Any] = []
    client, _ = serving(lambda mapping: made.append(copied(mapping)))
    client.get("/answer")
    made[0]["name"] = "bob"

    assert type(made[0]) is dict
    assert client.get("/read").json() == {"seen": ["tea"], "name": "ada"}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())
def test_a_copy_can_be_made_when_the_request_is_over(copied: Callable[[Mapping], Any]) -> None:
    client, kept = serving(lambda _: None)
    client.get("/answer")

    assert copied(kept[0]) == {"seen": ["tea"], "name": "ada"}


CHANGES: dict[str, Callable[[Mapping], Any]] = {
    "[]=": lambda mapping: mapping.__setitem__("late", 1),
    "del": lambda mapping: mapping.__delitem__("name"),
    "pop": lambda mapping: mapping.pop("name"),
    "popitem": lambda mapping: mapping.popitem(),
    "clear": lambda mapping: mapping.clear(),
    "update": lambda mapping: mapping.update(late=1),
    "setdefault": lambda mapping: mapping.setdefault("late", 1),
    "|=": lambda mapping: mapping.__ior__({"late": 1}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_when_the_request_is_over_says_so(change: Callable[[Mapping], Any]) -> None:
    client, kept = serving(lambda _: None)
    client.get("/answer")

    with pytest.raises(SessionKitError, match="too late"):
        change(kept[0])
    assert kept[0] == {"seen": ["tea"], "name": "ada"}


NOTHING: dict[str, Callable[[Mapping], Any]] = {
    "pop": lambda mapping: mapping.pop("missing", None),
    "setdefault": lambda mapping: mapping.setdefault("name", "bob"),
    "clear": lambda mapping: dict.clear(mapping) or mapping.clear(),
}


@pytest.mark.parametrize("change", NOTHING.values(), ids=NOTHING.keys())
def test_what_finds_nothing_to_change_comes_never_too_late(change: Callable[[Mapping], Any]) -> None:
    client, kept = serving(lambda _: None)
    client.get("/answer")

    assert change(kept[0]) in {None, "ada"}
