"""What is left of a session that has ended."""

from ...backends.base import SessionBackend
from .base import BackendCases
from .tools import ContractClock, begun, current, together, with_data


class EndingCases(BackendCases):
    """``delete``, and ``create`` where it replaces a session."""

    async def test_a_session_that_was_deleted_has_ended(self, backend: SessionBackend, clock: ContractClock) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        await backend.delete(loaded)

        assert await backend.load(token) is None

    async def test_deleting_twice_is_fine(self, backend: SessionBackend, clock: ContractClock) -> None:
        _, loaded = await begun(backend, clock.record())
        await backend.delete(loaded)
        await backend.delete(loaded)

    async def test_deleting_leaves_the_others(self, backend: SessionBackend, clock: ContractClock) -> None:
        _, loaded = await begun(backend, clock.record())
        other, _ = await begun(backend, clock.record())
        await backend.delete(loaded)

        assert await backend.load(other) is not None

    async def test_a_session_ends_wherever_it_has_moved_to(self, backend: SessionBackend, clock: ContractClock) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        written = await backend.rotate(loaded, with_data(b'{"new":1}'), grace=60)
        await backend.delete(loaded)

        assert await backend.load(token) is None
        assert await backend.load(current(token, written)) is None

    async def test_deleting_under_an_old_token_ends_the_session(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        written = await backend.rotate(loaded, with_data(b'{"new":1}'), grace=60)
        superseded = await backend.load(token)
        assert superseded is not None
        await backend.delete(superseded)

        assert await backend.load(token) is None
        assert await backend.load(current(token, written)) is None

    async def test_nothing_that_races_with_an_ending_brings_the_session_back(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        for _ in range(10):
            token, loaded = await begun(backend, clock.record())
            change = with_data(b'{"late":1}')
            moved, updated, _ = await together(
                [backend.rotate(loaded, change, grace=60), backend.update(loaded, change), backend.delete(loaded)]
            )

            assert await backend.load(token) is None
            assert await backend.load(current(token, moved)) is None
            assert await backend.load(current(token, updated)) is None

    async def test_a_sign_in_ends_the_session_that_it_replaces(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        self.needs_sessions_that_end()
        token, loaded = await begun(backend, clock.record())
        new, _ = await begun(backend, clock.record(data=b'{"new":1}'), replaces=loaded)

        assert await backend.load(token) is None
        assert await backend.load(new) is not None

    async def test_a_sign_in_may_replace_what_has_ended_already(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        _, loaded = await begun(backend, clock.record())
        await backend.delete(loaded)
        new, _ = await begun(backend, clock.record(data=b'{"new":1}'), replaces=loaded)

        assert await backend.load(new) is not None
