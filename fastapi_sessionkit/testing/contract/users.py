"""The sessions of one user."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from ...stores.base import SessionStore
from .base import StoreCases
from .tools import LIFETIME, ContractClock, key, together

ODD_USER_IDS = {
    "unicode": "Zoë Ødegård 渡辺 🦀",
    "255 characters": "ü" * 255,
    "quotes": """o'brien "x" `y`""",
    "colon": "tenant:7:user",
    "braces": "{user}",
    "brackets and stars": "[a-z]*?",
    "percent and underscore": "100%_a",
    "backslash": "a\\b",
    "spaces inside": "a  b",
    "space at the end": "ada ",
    "space in front": " ada",
    "other case": "ADA",
    "longer than another": "adam",
    "decomposed accent": "ada\u0301",
    "SQL": "'; DROP TABLE sessions; --",
    "the word None": "None",
    "digits": "007",
}


class UserCases(StoreCases):
    """``list_user`` and ``delete_user``."""

    # list_user

    async def test_nobody_has_no_sessions(self, store: SessionStore) -> None:
        assert await store.list_user("nobody") == []

    async def test_a_users_sessions_are_listed_oldest_first(self, store: SessionStore, clock: ContractClock) -> None:
        sessions = {key(f"k{age}"): clock.record(age=age) for age in (20, 5, 40, 10)}
        for k, record in sessions.items():
            await store.create(k, record)

        expected = [(key(f"k{age}"), sessions[key(f"k{age}")]) for age in (40, 20, 10, 5)]
        assert await store.list_user("ada") == expected

    async def test_sessions_of_others_are_not_listed(self, store: SessionStore, clock: ContractClock) -> None:
        await together([store.create(key(user), clock.record(user)) for user in ("ada", "bob", "ad", "adam")])

        assert [k for k, _ in await store.list_user("ada")] == [key("ada")]

    async def test_rotated_records_are_not_listed(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())
        await store.create(key("b"), clock.record())
        await store.replace(key("a"), clock.record(data=b"", version=2, successor=key("b")), version=1)

        assert [k for k, _ in await store.list_user("ada")] == [key("b")]

    async def test_a_session_that_moves_again_and_again_is_one_session(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        moves = [key(f"k{n}") for n in range(30)]
        record = clock.record()
        await store.create(moves[0], record)
        for old, new in pairwise(moves):
            await store.create(new, record)
            assert await store.replace(old, clock.record(data=b"", version=2, successor=new), version=1) is True

        assert await store.list_user("ada") == [(moves[-1], record)]
        assert await store.delete_user("ada") == 1
        assert await together([store.get(k) for k in moves]) == [None] * len(moves)

    async def test_expired_records_are_not_listed(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record(lifetime=clock.short))
        await store.create(key("b"), clock.record())
        await clock.outlast(clock.short)

        assert [k for k, _ in await store.list_user("ada")] == [key("b")]

    async def test_a_touched_session_is_listed_as_it_is_now(self, store: SessionStore, clock: ContractClock) -> None:
        record = clock.record()
        await store.create(key("a"), record)
        await store.touch(key("a"), last_seen_at=record.last_seen_at + 1, expires_at=record.expires_at)

        assert await store.list_user("ada") == [(key("a"), replace(record, last_seen_at=record.last_seen_at + 1))]

    async def test_a_user_with_two_hundred_sessions_gets_them_all(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        await together([store.create(key(f"k{n}"), clock.record(age=n)) for n in range(200)])
        listed = await store.list_user("ada")

        assert [k for k, _ in listed] == [key(f"k{n}") for n in reversed(range(200))]

    async def test_a_session_without_a_user_belongs_to_nobody(self, store: SessionStore, clock: ContractClock) -> None:
        record = clock.record(None)
        await store.create(key("a"), record)

        assert await store.get(key("a")) == record
        assert await store.list_user("None") == []
        assert await store.list_user("") == []

    @pytest.mark.parametrize("user_id", ODD_USER_IDS.values(), ids=ODD_USER_IDS.keys())
    async def test_an_odd_user_id_is_told_apart_from_every_other(
        self, store: SessionStore, clock: ContractClock, user_id: str
    ) -> None:
        plain, odd = clock.record("ada"), clock.record(user_id)
        await store.create(key("plain"), plain)
        await store.create(key("odd"), odd)

        assert await store.get(key("odd")) == odd
        assert await store.list_user(user_id) == [(key("odd"), odd)]
        assert await store.list_user("ada") == [(key("plain"), plain)]
        assert await store.delete_user(user_id) == 1
        assert await store.get(key("plain")) == plain

    # delete_user

    async def test_a_users_sessions_end_together(self, store: SessionStore, clock: ContractClock) -> None:
        await together([store.create(key(f"k{n}"), clock.record()) for n in range(5)])

        assert await store.delete_user("ada") == 5
        assert await together([store.get(key(f"k{n}")) for n in range(5)]) == [None] * 5
        assert await store.list_user("ada") == []

    async def test_ending_the_sessions_of_nobody_is_fine(self, store: SessionStore) -> None:
        assert await store.delete_user("nobody") == 0

    async def test_a_second_ending_finds_nothing(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())
        await store.delete_user("ada")

        assert await store.delete_user("ada") == 0

    @pytest.mark.parametrize("collection", [list, tuple, set, frozenset, dict.fromkeys])
    async def test_kept_keys_stay(
        self, store: SessionStore, clock: ContractClock, collection: Callable[[list[str]], Any]
    ) -> None:
        await together([store.create(key(f"k{n}"), clock.record(age=n)) for n in range(4)])

        assert await store.delete_user("ada", keep=collection([key("k1"), key("k3")])) == 2
        assert [k for k, _ in await store.list_user("ada")] == [key("k3"), key("k1")]

    async def test_keeping_keys_that_are_not_the_users_does_nothing(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        await store.create(key("a"), clock.record("ada"))
        await store.create(key("b"), clock.record("bob"))

        assert await store.delete_user("ada", keep=[key("b"), key("unknown")]) == 1
        assert await store.get(key("b")) is not None

    async def test_other_users_stay(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record("ada"))
        await store.create(key("b"), clock.record("bob"))
        await store.delete_user("ada")

        assert await store.get(key("b")) is not None

    async def test_rotated_records_end_too_and_are_not_counted(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("old"), clock.record())
        await store.create(key("new"), clock.record())
        await store.replace(key("old"), clock.record(data=b"", version=2, successor=key("new")), version=1)

        assert await store.delete_user("ada") == 1
        assert await store.get(key("old")) is None

    async def test_expired_sessions_are_not_counted(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record(lifetime=clock.short))
        await store.create(key("b"), clock.record())
        await clock.outlast(clock.short)

        assert await store.delete_user("ada") == 1

    async def test_a_late_write_does_not_revive_an_ended_session(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        await store.create(key("a"), clock.record())
        await store.delete_user("ada")
        await store.replace(key("a"), clock.record(version=2), version=1)
        await store.touch(key("a"), last_seen_at=clock() + 1, expires_at=clock() + LIFETIME)

        assert await store.get(key("a")) is None
