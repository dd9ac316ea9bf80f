"""The sessions of a user, where a backend can list and end them."""

import re

import pytest
from typing_extensions import get_protocol_members

from ...backends.base import SessionBackend, SessionDirectory
from .base import BackendCases
from .tools import ContractClock, begun, current, facts, key, together, with_data


class DirectoryCases(BackendCases):
    """``of_user``, ``end``, ``end_user`` and ``purge``; and ``max_sessions_per_user``."""

    async def test_it_has_every_method_of_the_directory_or_none(self, backend: SessionBackend) -> None:
        methods = get_protocol_members(SessionDirectory)
        offered = {name for name in methods if callable(getattr(backend, name, None))}

        assert offered in (methods, set())

    # of_user

    async def test_a_users_sessions_are_listed_oldest_first(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        directory = self.needs_a_directory(backend)
        records = {age: clock.record(age=age) for age in (20, 40, 10)}
        for record in (*records.values(), clock.record("bob")):
            await backend.create(record)
        listed = await directory.of_user("ada")

        assert [facts(loaded.record) for loaded in listed] == [facts(records[age]) for age in (40, 20, 10)]
        assert await directory.of_user("nobody") == []

    async def test_what_is_listed_is_what_a_token_leads_to(self, backend: SessionBackend, clock: ContractClock) -> None:
        directory = self.needs_a_directory(backend)
        _, loaded = await begun(backend, clock.record())

        assert await directory.of_user("ada") == [loaded]

    async def test_a_key_is_64_hexadecimal_digits_and_opens_nothing(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        directory = self.needs_a_directory(backend)
        token, loaded = await begun(backend, clock.record())

        assert re.fullmatch("[0-9a-f]{64}", loaded.key)
        assert loaded.key.encode() not in token
        assert await backend.load(loaded.key.encode()) is None
        assert len(await directory.of_user("ada")) == 1

    async def test_a_session_that_moved_is_listed_once_where_it_is(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        directory = self.needs_a_directory(backend)
        token, loaded = await begun(backend, clock.record())
        written = await backend.rotate(loaded, with_data(b'{"new":1}'), grace=60)

        assert await directory.of_user("ada") == [await backend.load(current(token, written))]

    async def test_what_has_ended_or_expired_is_not_listed(self, backend: SessionBackend, clock: ContractClock) -> None:
        directory = self.needs_a_directory(backend)
        _, loaded = await begun(backend, clock.record())
        await backend.create(clock.record(lifetime=clock.short))
        await backend.delete(loaded)
        await clock.outlast(clock.short)

        assert await directory.of_user("ada") == []

    async def test_a_session_that_changes_its_user_is_listed_with_the_new_one(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        directory = self.needs_a_directory(backend)
        _, loaded = await begun(backend, clock.record("ada"))
        await backend.update(loaded, lambda _: clock.record("bob"))

        assert await directory.of_user("ada") == []
        assert len(await directory.of_user("bob")) == 1

    async def test_a_listed_session_can_be_changed(self, backend: SessionBackend, clock: ContractClock) -> None:
        directory = self.needs_a_directory(backend)
        token, _ = await begun(backend, clock.record())
        [listed] = await directory.of_user("ada")
        await backend.update(listed, with_data(b'{"new":1}'))
        found = await backend.load(token)

        assert found is not None
        assert found.record.data == b'{"new":1}'

    # end

    async def test_a_session_ends_by_its_key(self, backend: SessionBackend, clock: ContractClock) -> None:
        directory = self.needs_a_directory(backend)
        token, loaded = await begun(backend, clock.record())
        other, _ = await begun(backend, clock.record())

        assert await directory.end(loaded.key) is True
        assert await backend.load(token) is None
        assert await backend.load(other) is not None
        assert await directory.end(loaded.key) is False

    async def test_ending_an_unknown_key_says_false(self, backend: SessionBackend) -> None:
        directory = self.needs_a_directory(backend)
        assert await directory.end(key("unknown")) is False

    async def test_a_session_of_another_user_does_not_end(self, backend: SessionBackend, clock: ContractClock) -> None:
        directory = self.needs_a_directory(backend)
        token, loaded = await begun(backend, clock.record("ada"))

        assert await directory.end(loaded.key, user_id="bob") is False
        assert await backend.load(token) is not None
        assert await directory.end(loaded.key, user_id="ada") is True

    async def test_the_key_that_a_session_had_before_it_moved_ends_it(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        directory = self.needs_a_directory(backend)
        token, loaded = await begun(backend, clock.record())
        written = await backend.rotate(loaded, with_data(b'{"new":1}'), grace=60)

        assert await directory.end(loaded.key) is True
        assert await backend.load(current(token, written)) is None

    # end_user

    async def test_a_users_sessions_end_together(self, backend: SessionBackend, clock: ContractClock) -> None:
        directory = self.needs_a_directory(backend)
        tokens = [(await begun(backend, clock.record("ada")))[0] for _ in range(3)]
        other, _ = await begun(backend, clock.record("bob"))

        assert await directory.end_user("ada") == 3
        assert await together([backend.load(token) for token in tokens]) == [None] * 3
        assert await backend.load(other) is not None
        assert await directory.end_user("ada") == 0

    async def test_kept_sessions_stay(self, backend: SessionBackend, clock: ContractClock) -> None:
        directory = self.needs_a_directory(backend)
        token, loaded = await begun(backend, clock.record())
        await backend.create(clock.record())

        assert await directory.end_user("ada", keep=[loaded.key]) == 1
        assert await backend.load(token) is not None

    async def test_a_users_old_tokens_end_too_and_are_not_counted(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        directory = self.needs_a_directory(backend)
        token, loaded = await begun(backend, clock.record())
        written = await backend.rotate(loaded, with_data(b'{"new":1}'), grace=60)

        assert await directory.end_user("ada") == 1
        assert await backend.load(token) is None
        assert await backend.load(current(token, written)) is None

    # purge

    async def test_a_purge_drops_the_expired_and_leaves_the_living(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        directory = self.needs_a_directory(backend)
        await backend.create(clock.record(lifetime=clock.short))
        token, _ = await begun(backend, clock.record())
        await clock.outlast(clock.short)

        assert await directory.purge() == (1 if self.purges else 0)
        assert await backend.load(token) is not None

    # max_sessions_per_user

    @pytest.mark.parametrize("age", [-100.0, 0.0, 100.0], ids=["clock ahead", "same clock", "clock behind"])
    async def test_one_sign_in_too_many_ends_another_and_never_itself(self, clock: ContractClock, age: float) -> None:
        backend = await self.bound(clock, max_sessions_per_user=2)
        directory = self.needs_a_directory(backend)
        oldest, _ = await begun(backend, clock.record(age=20))
        await begun(backend, clock.record(age=10))
        newest, _ = await begun(backend, clock.record(age=age))

        assert await backend.load(oldest) is None
        assert await backend.load(newest) is not None
        assert len(await directory.of_user("ada")) == 2
        await backend.aclose()

    async def test_a_session_that_is_replaced_does_not_count(self, clock: ContractClock) -> None:
        backend = await self.bound(clock, max_sessions_per_user=2)
        directory = self.needs_a_directory(backend)
        oldest, _ = await begun(backend, clock.record(age=20))
        _, replaced = await begun(backend, clock.record(age=10))
        await begun(backend, clock.record(), replaces=replaced)

        assert await backend.load(oldest) is not None
        assert len(await directory.of_user("ada")) == 2
        await backend.aclose()

    async def test_the_sessions_of_others_do_not_count(self, clock: ContractClock) -> None:
        backend = await self.bound(clock, max_sessions_per_user=1)
        self.needs_a_directory(backend)
        tokens = [(await begun(backend, clock.record(user)))[0] for user in ("ada", "bob")]

        assert None not in await together([backend.load(token) for token in tokens])
        await backend.aclose()
