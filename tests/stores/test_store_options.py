"""Options of the stores with values that can't work: refused when the store is made, by the option's name."""

import time
from datetime import timedelta
from typing import Any

import pytest

from fastapi_sessionkit.errors import ConfigurationError
from fastapi_sessionkit.stores.memory import MemoryStore
from fastapi_sessionkit.stores.redis import RedisStore
from fastapi_sessionkit.stores.sql import SQLStore

NOT_WHOLE = [0, -1, True, 1.5, "10", None]
NOT_SECONDS = [0, -1, True, float("inf"), float("nan"), "5", None]
NOT_A_CLOCK = [0, 1_700_000_000.0, "time.time", time]


def sql_store(**options: Any) -> SQLStore:
    return SQLStore("postgresql://h/d", **options)


def redis_store(**options: Any) -> RedisStore:
    return RedisStore("redis://h", **options)


OPTIONS: list[tuple[Any, str, list[Any]]] = [
    (MemoryStore, "max_sessions", NOT_WHOLE),
    (MemoryStore, "clock", NOT_A_CLOCK),
    (sql_store, "max_connections", NOT_WHOLE),
    (sql_store, "purge_batch", NOT_WHOLE),
    (sql_store, "connection_timeout", NOT_SECONDS),
    (sql_store, "answer_timeout", NOT_SECONDS),
    (sql_store, "clock", NOT_A_CLOCK),
    (sql_store, "create_table", [0, 1, None, "false"]),
    (sql_store, "table_name", ["", " ", None, 7, "a\x00b", "a\nb", "web.sessions", "t" * 50, "ü" * 25, "\ud800"]),
    (redis_store, "timeout", NOT_SECONDS),
    (redis_store, "clock", NOT_A_CLOCK),
    (redis_store, "prefix", [None, 7, b"shop:", "a\nb", "\ud800"]),
]

WRONG = [(make, option, value) for make, option, values in OPTIONS for value in values]


@pytest.mark.parametrize(("make", "option", "value"), WRONG, ids=[f"{o}-{n}" for n, (_, o, _) in enumerate(WRONG)])
def test_a_value_that_cannot_work_is_refused_by_name(make: Any, option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=option) as refusal:
        make(**{option: value})

    assert repr(value) in str(refusal.value)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (MemoryStore, {"max_sessions": 1, "clock": time.time}),
        (sql_store, {"max_connections": 1, "purge_batch": 1, "connection_timeout": 1, "answer_timeout": 0.1}),
        (sql_store, {"table_name": "t" * 49, "create_table": False, "clock": None}),
        (sql_store, {"table_name": "Sitzungen der Gäste"}),
        (redis_store, {"timeout": 1, "prefix": "", "clock": time.time}),
        (redis_store, {"prefix": "{shop}:"}),
        (sql_store, {"connection_timeout": timedelta(seconds=1), "answer_timeout": timedelta(seconds=2)}),
        (redis_store, {"timeout": timedelta(seconds=1)}),
    ],
    ids=["memory", "limits", "table", "odd name", "redis", "hash tag", "timedeltas", "a timedelta"],
)
def test_values_that_work_are_taken(make: Any, options: dict[str, Any]) -> None:
    make(**options)
