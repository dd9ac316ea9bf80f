"""What becomes of a session that moves to a new token."""

import pytest

from ...backends.base import SessionBackend
from .base import BackendCases
from .tools import ContractClock, Refused, begun, current, facts, refusing, together, with_data

GRACE = 60.0


class MoveCases(BackendCases):
    """``rotate``."""

    async def test_a_rotation_gives_a_new_token_to_the_changed_record(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        token, loaded = await begun(backend, clock.record(age=50))
        written = await backend.rotate(loaded, with_data(b'{"new":1}'), grace=GRACE)

        assert written is not None
        assert written.token is not None
        assert written.token.encode() != token
        found = await backend.load(written.token.encode())
        assert found is not None
        assert facts(found.record) == facts(written.record) == facts(with_data(b'{"new":1}')(loaded.record))
        assert found.superseded is False

    async def test_a_rotation_that_raises_leaves_the_old_state(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        token, loaded = await begun(backend, clock.record())

        with pytest.raises(Refused):
            await backend.rotate(loaded, refusing, grace=0)
        assert await backend.load(token) == loaded

    async def test_in_its_grace_an_old_token_leads_to_the_session_as_it_is_now(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        await backend.rotate(loaded, with_data(b'{"new":1}'), grace=GRACE)
        found = await backend.load(token)

        assert found is not None
        assert found.record.data == b'{"new":1}'
        assert found.superseded is True

    async def test_in_its_grace_an_old_token_says_what_the_data_was_before(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record(data=b'{"old":1}'))
        await backend.rotate(loaded, with_data(b'{"new":1}'), grace=GRACE)
        found = await backend.load(token)

        assert found is not None
        assert found.superseded is True
        assert found.before == b'{"old":1}'

    async def test_after_two_moves_an_old_token_says_what_the_data_was_before_both(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record(data=b'{"old":1}'))
        written = await backend.rotate(loaded, with_data(b'{"first":1}'), grace=GRACE)
        moved = await backend.load(current(token, written))
        assert moved is not None
        await backend.rotate(moved, with_data(b'{"second":1}'), grace=GRACE)
        found = await backend.load(token)

        assert found is not None
        assert found.before == b'{"old":1}'

    async def test_an_old_token_says_what_was_before_what_came_after_the_move(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record(data=b'{"old":1}'))
        written = await backend.rotate(loaded, lambda record: record, grace=GRACE)
        assert written is not None
        assert written.token is not None
        moved = await backend.load(written.token.encode())
        assert moved is not None
        assert moved.before is None
        await backend.update(moved, with_data(b'{"later":1}'))
        found = await backend.load(token)

        assert found is not None
        assert found.superseded is True
        assert found.before == b'{"old":1}'

    async def test_after_its_grace_an_old_token_is_none(self, backend: SessionBackend, clock: ContractClock) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        written = await backend.rotate(loaded, with_data(b'{"new":1}'), grace=clock.short)
        await clock.outlast(clock.short)

        assert await backend.load(token) is None
        assert await backend.load(current(token, written)) is not None

    async def test_without_grace_an_old_token_is_none_at_once(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        written = await backend.rotate(loaded, with_data(b'{"new":1}'), grace=0)

        assert await backend.load(token) is None
        assert await backend.load(current(token, written)) is not None

    async def test_a_change_that_comes_after_a_move_is_made_where_the_session_is(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        moved = await backend.rotate(loaded, with_data(b'{"first":1}'), grace=0)
        written = await backend.update(loaded, with_data(b'{"second":1}'))
        found = await backend.load(current(token, moved))

        assert written is not None
        assert found is not None
        assert found.record.data == b'{"second":1}'

    async def test_under_an_old_token_a_session_is_changed_and_not_moved_again(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        moved = await backend.rotate(loaded, with_data(b'{"first":1}'), grace=GRACE)
        superseded = await backend.load(token)
        assert superseded is not None
        written = await backend.rotate(superseded, with_data(b'{"second":1}'), grace=GRACE)
        found = await backend.load(current(token, moved))

        assert written is not None
        assert written.token is None
        assert found is not None
        assert found.record.data == b'{"second":1}'

    async def test_without_grace_a_session_that_has_moved_moves_again_and_ends_what_it_left(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        before = await backend.rotate(loaded, with_data(b'{"first":1}'), grace=GRACE)
        superseded = await backend.load(token)
        assert superseded is not None
        for late in (loaded, superseded):
            written = await backend.rotate(late, with_data(b'{"second":1}'), grace=0)

            assert written is not None
            assert written.token is not None
            found = await backend.load(written.token.encode())
            assert found is not None
            assert found.record.data == b'{"second":1}'
            assert await backend.load(token) is None
            assert await backend.load(current(token, before)) is None
            before = written

    async def test_rotations_at_once_leave_one_session_that_every_client_has(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        rotations = [backend.rotate(loaded, with_data(b'{"n":%d}' % n), grace=GRACE) for n in range(10)]
        tokens = {current(token, written) for written in await together(rotations)}
        found = await together([backend.load(each) for each in tokens])

        assert len(tokens - {token}) == 1
        assert len({loaded and loaded.record for loaded in found}) == 1
        assert None not in found

    async def test_a_rotation_of_what_has_ended_is_none_and_writes_nothing(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        await backend.delete(loaded)

        assert await backend.rotate(loaded, with_data(b'{"late":1}'), grace=GRACE) is None
        assert await backend.load(token) is None
