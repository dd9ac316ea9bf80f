"""What is left of a call that is cut off, and of a store that was closed."""

from ...stores.base import SessionStore
from .base import StoreCases
from .tools import ContractClock, cut_off, eventually, key, sorted_by_key, together


class InterruptionCases(StoreCases):
    """Cancellation and ``aclose``."""

    # cancellation: each call is cut off a little later than the one before, so some are cut in the middle. An engine
    # may still finish one a moment afterwards, so what is asked is where it ends.

    async def test_a_cancelled_replace_leaves_the_old_or_the_new(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        old, new = clock.record("ada"), clock.record("bob", b'{"new":1}', version=2)
        keys = [key(f"k{steps}") for steps in range(30)]
        for steps, k in enumerate(keys):
            await store.create(k, old)
            await cut_off(store.replace(k, new, version=1), steps)

        async def is_whole() -> bool:
            kept = [(k, await store.get(k)) for k in keys]
            of_ada, of_bob = await store.list_user("ada"), await store.list_user("bob")
            return sorted_by_key(kept) == sorted_by_key([*of_ada, *of_bob])

        assert await eventually(is_whole)
        assert {record for _, record in await store.list_user("ada")} <= {old}
        assert {record for _, record in await store.list_user("bob")} <= {new}

    async def test_a_cancelled_create_has_happened_whole_or_not_at_all(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        record = clock.record()
        keys = [key(f"k{steps}") for steps in range(30)]
        for steps, k in enumerate(keys):
            await cut_off(store.create(k, record), steps)

        async def is_whole() -> bool:
            kept = [(k, record) for k in keys if await store.get(k) == record]
            return sorted_by_key(kept) == sorted_by_key(await store.list_user("ada"))

        assert await eventually(is_whole)

    async def test_a_cancelled_delete_has_happened_whole_or_not_at_all(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        record = clock.record()
        keys = [key(f"k{steps}") for steps in range(30)]
        for steps, k in enumerate(keys):
            await store.create(k, record)
            await cut_off(store.delete(k), steps)

        async def is_whole() -> bool:
            kept = [(k, record) for k in keys if await store.get(k) == record]
            return sorted_by_key(kept) == sorted_by_key(await store.list_user("ada"))

        assert await eventually(is_whole)

    async def test_a_cancelled_ending_of_a_users_sessions_can_be_repeated(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        for steps in range(0, 30, 3):
            await together([store.create(key(f"k{steps}-{n}"), clock.record()) for n in range(5)])
            await cut_off(store.delete_user("ada"), steps)
            await store.delete_user("ada")

            assert await store.list_user("ada") == []
            assert await together([store.get(key(f"k{steps}-{n}")) for n in range(5)]) == [None] * 5

    async def test_cancelled_reads_do_no_harm_to_the_reads_after_them(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        records = {key(f"k{n}"): clock.record(f"user-{n}") for n in range(30)}
        await together([store.create(k, record) for k, record in records.items()])
        await together([cut_off(store.get(k), steps) for steps, k in enumerate(records)])

        assert await together([store.get(k) for k in records]) == list(records.values())

    # closing

    async def test_closing_twice_is_fine(self, store: SessionStore) -> None:
        await store.aclose()
        await store.aclose()

    async def test_a_call_after_closing_opens_again(self, store: SessionStore, clock: ContractClock) -> None:
        await store.aclose()

        assert await store.create(key("a"), clock.record()) is True
        await store.aclose()
        assert await store.delete(key("a")) is True
