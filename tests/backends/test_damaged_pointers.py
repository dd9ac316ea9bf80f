"""What stands in the place of a rotated session may have been damaged, or written by somebody else: it lets nobody in."""

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from fastapi_sessionkit import MemoryStore
from tests.backends.support import browser, make
from tests.support import COOKIE, Clock, holding

DAMAGED = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\xff",
    b'{"until":9e9',
    b'{"until":9e9}',
    b'{"until":9e9,"before":null}',
    b'{"until":9e9,"before":"\\u0100"}',
    b'{"until":null,"before":"{}"}',
    b'{"until":NaN,"before":"{}"}',
    b'{"until":"soon","before":"{}"}',
    b"[" * 100_000,
]


def rotated(store: MemoryStore, clock: Clock) -> tuple[TestClient, str]:
    """A browser whose session has moved, and its old token, which is in its grace."""
    client = browser(make(store, clock))
    old = client.cookies[COOKIE]
    client.post("/rotate")
    return client, old


def damage(client: TestClient, store: MemoryStore, data: bytes) -> None:
    """Overwrite what stands in the place of the session that has moved."""
    ((key, pointer),) = [(key, record) for key, record in store._records.items() if record.successor is not None]  # noqa: SLF001
    store._records[key] = replace(pointer, data=data)  # noqa: SLF001


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: ascii(data[:30]))
def test_a_damaged_pointer_is_nobody_and_no_error(data: bytes, clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    client, old = rotated(store, clock)
    moved = client.cookies[COOKIE]
    assert holding(client, old).get("/").json()["user_id"] == "ada"

    damage(client, store, data)

    assert holding(client, old).get("/").json() is None
    assert holding(client, old).post("/set/note").status_code == 401
    assert holding(client, old).post("/out").status_code == 200
    assert holding(client, moved).get("/").json()["user_id"] == "ada"
