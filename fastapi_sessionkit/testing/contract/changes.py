"""What becomes of a session where it is: changed, and used."""

from dataclasses import replace

import pytest

from ...backends.base import SessionBackend
from ...stores.base import SessionRecord
from .base import BackendCases
from .tools import LIFETIME, ContractClock, Refused, begun, current, facts, refusing, together, with_data


class ChangeCases(BackendCases):
    """``update`` and ``touch``."""

    # update

    async def test_an_update_is_what_the_token_leads_to(self, backend: SessionBackend, clock: ContractClock) -> None:
        token, loaded = await begun(backend, clock.record(age=50))
        changed = clock.record(data=b'{"new":1}', age=50, lifetime=LIFETIME + 5)
        written = await backend.update(loaded, lambda record: replace(changed, user_id=record.user_id))

        assert written is not None
        assert facts(written.record) == facts(changed)
        found = await backend.load(current(token, written))
        assert found is not None
        assert facts(found.record) == facts(changed)
        assert found.superseded is False

    async def test_a_change_is_given_the_record(self, backend: SessionBackend, clock: ContractClock) -> None:
        record = clock.record(age=5)
        _, loaded = await begun(backend, record)
        given: list[SessionRecord] = []

        def look_at(stored: SessionRecord) -> SessionRecord:
            given.append(stored)
            return stored

        await backend.update(loaded, look_at)

        assert [facts(stored) for stored in given] == [facts(record)]

    async def test_an_update_that_raises_leaves_the_old_state(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        token, loaded = await begun(backend, clock.record())

        with pytest.raises(Refused):
            await backend.update(loaded, refusing)
        assert await backend.load(token) == loaded

    async def test_updates_at_once_are_all_made(self, backend: SessionBackend, clock: ContractClock) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record(data=b"0"))

        def add_one(record: SessionRecord) -> SessionRecord:
            return replace(record, data=b"%d" % (int(record.data) + 1))

        await together([backend.update(loaded, add_one) for _ in range(20)])
        found = await backend.load(token)

        assert found is not None
        assert found.record.data == b"20"

    async def test_an_update_of_what_has_ended_is_none_and_writes_nothing(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        await backend.delete(loaded)

        assert await backend.update(loaded, with_data(b'{"late":1}')) is None
        assert await backend.load(token) is None

    async def test_an_update_of_what_has_expired_is_none_and_writes_nothing(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record(lifetime=clock.short))
        await clock.outlast(clock.short)

        assert await backend.update(loaded, with_data(b'{"late":1}')) is None
        assert await backend.load(token) is None

    # touch

    async def test_a_touch_moves_both_times_and_nothing_else(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        token, loaded = await begun(backend, clock.record(age=50))
        seen, expires = clock() + 1, clock() + LIFETIME + 1
        sent = await backend.touch(loaded, last_seen_at=seen, expires_at=expires)
        found = await backend.load(token if sent is None else sent.encode())

        assert found is not None
        assert facts(found.record) == facts(replace(loaded.record, last_seen_at=seen, expires_at=expires))

    async def test_a_touch_keeps_a_session_alive(self, backend: SessionBackend, clock: ContractClock) -> None:
        token, loaded = await begun(backend, clock.record(lifetime=clock.tight))
        sent = await backend.touch(loaded, last_seen_at=clock(), expires_at=clock() + LIFETIME)
        await clock.outlast(clock.tight)

        assert await backend.load(token if sent is None else sent.encode()) is not None

    async def test_a_touch_does_not_undo_a_change(self, backend: SessionBackend, clock: ContractClock) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        await backend.update(loaded, with_data(b'{"new":1}'))
        await backend.touch(loaded, last_seen_at=clock(), expires_at=clock() + LIFETIME)
        found = await backend.load(token)

        assert found is not None
        assert found.record.data == b'{"new":1}'

    async def test_a_touch_of_what_has_ended_brings_nothing_back(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        await backend.delete(loaded)
        await backend.touch(loaded, last_seen_at=clock(), expires_at=clock() + LIFETIME)

        assert await backend.load(token) is None
