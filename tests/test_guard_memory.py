"""What a guard remembers of the paths that it decided about, and that nobody can fill its memory with made-up ones."""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_sessionkit import RouterGuard, Rule, Session
from tests.support import client_of, new_kit

ADA = Session(user_id="ada", role="admin")


def decide(guard: RouterGuard, path: str, method: str = "GET") -> bool:
    with pytest.raises(StopIteration) as done:
        guard.decide(method, path, ADA).send(None)
    allowed: bool = done.value.value.allowed
    return allowed


def calls_of(action: Callable[[], object]) -> int:
    calls, before = 0, sys.getprofile()

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    gc.disable()  # what hangs on a collection is nothing of the guard's
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
        gc.enable()
    return calls


@pytest.fixture
def guard() -> RouterGuard:
    return RouterGuard(protect=[Rule("/**", role="admin")])


def calls(guard: RouterGuard, path: str, **how: Any) -> int:
    return calls_of(lambda: decide(guard, path, **how))


def test_a_path_asked_for_again_is_remembered(guard: RouterGuard) -> None:
    first, again = (calls(guard, "/a/b") for _ in range(2))

    assert again < first


def test_attack_made_up_paths_push_each_other_out_of_memory(guard: RouterGuard) -> None:
    first = calls(guard, "/a/b")
    for number in range(1_024):
        decide(guard, f"/{number}")

    assert calls(guard, "/a/b") == first


@pytest.mark.parametrize(("path", "method"), [("/" + "x" * 256, "GET"), ("/x", "X" * 256)], ids=["path", "method"])
def test_attack_what_is_over_256_characters_is_not_remembered(guard: RouterGuard, path: str, method: str) -> None:
    first, again = (calls(guard, path, method=method) for _ in range(2))

    assert again == first


@pytest.mark.parametrize(("length", "remembered"), [(253, 1), (254, 0)])
def test_attack_the_gate_remembers_256_characters_and_no_more(guard: RouterGuard, length: int, remembered: int) -> None:
    path, app = "/" + "x" * (length - 1), FastAPI()
    new_kit().install(app, guard=guard)

    assert client_of(app).get(path).status_code == 401
    assert guard._remembered.cache_info().currsize == remembered  # noqa: SLF001
    decide(guard, path)
    assert guard._remembered.cache_info().currsize == remembered  # noqa: SLF001


@pytest.mark.parametrize("length", [10, 5_000])
def test_a_path_too_long_to_be_remembered_is_decided_alike(length: int) -> None:
    guard = RouterGuard(protect=[Rule("/b", role="x"), Rule("/a/*/c", role="x"), Rule("/a/*/b"), Rule("/**", role="x")])

    assert [decide(guard, "/a/" + "x" * length + "/b") for _ in range(2)] == [True, True]
    assert not decide(guard, "/a/" + "x" * length)
