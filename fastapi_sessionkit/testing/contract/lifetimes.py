"""How long a record stays: touched, deleted, purged."""

from dataclasses import replace

from ...stores.base import SessionStore
from .base import StoreCases
from .tools import LIFETIME, ContractClock, key, together


class LifetimeCases(StoreCases):
    """``touch``, ``delete`` and ``purge``."""

    # touch

    async def test_touch_moves_both_times_and_nothing_else(self, store: SessionStore, clock: ContractClock) -> None:
        record = clock.record(age=50)
        await store.create(key("a"), record)
        seen, expires = clock() + 1, clock() + LIFETIME + 1

        assert await store.touch(key("a"), last_seen_at=seen, expires_at=expires) is True
        assert await store.get(key("a")) == replace(record, last_seen_at=seen, expires_at=expires)

    async def test_touch_never_shortens(self, store: SessionStore, clock: ContractClock) -> None:
        record = clock.record()
        await store.create(key("a"), record)

        assert await store.touch(key("a"), last_seen_at=record.last_seen_at + 1, expires_at=clock() + 1) is True
        assert await store.get(key("a")) == replace(record, last_seen_at=record.last_seen_at + 1)

    async def test_touch_never_sets_the_idle_clock_back(self, store: SessionStore, clock: ContractClock) -> None:
        record = clock.record()
        await store.create(key("a"), record)
        await store.touch(key("a"), last_seen_at=clock() - 100, expires_at=record.expires_at + 5)

        assert await store.get(key("a")) == replace(record, expires_at=record.expires_at + 5)

    async def test_touches_out_of_order_end_at_the_latest(self, store: SessionStore, clock: ContractClock) -> None:
        record = clock.record()
        await store.create(key("a"), record)
        calls = [
            store.touch(key("a"), last_seen_at=record.last_seen_at + n, expires_at=record.expires_at + n)
            for n in (3, 9, 1, 7, 5)
        ]
        await together(calls)

        expected = replace(record, last_seen_at=record.last_seen_at + 9, expires_at=record.expires_at + 9)
        assert await store.get(key("a")) == expected

    async def test_touch_keeps_a_session_alive(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record(lifetime=clock.tight))
        await store.touch(key("a"), last_seen_at=clock(), expires_at=clock() + LIFETIME)
        await clock.outlast(clock.tight)

        assert await store.get(key("a")) is not None
        assert [k for k, _ in await store.list_user("ada")] == [key("a")]
        assert await store.delete_user("ada") == 1

    async def test_touch_never_creates(self, store: SessionStore, clock: ContractClock) -> None:
        assert await store.touch(key("a"), last_seen_at=clock(), expires_at=clock() + LIFETIME) is False
        assert await store.get(key("a")) is None

    async def test_touch_does_not_revive_an_expired_record(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record(lifetime=clock.short))
        await clock.outlast(clock.short)

        assert await store.touch(key("a"), last_seen_at=clock(), expires_at=clock() + LIFETIME) is False
        assert await store.get(key("a")) is None

    async def test_a_late_touch_does_not_keep_a_rotated_id_alive(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        pointer = clock.record(data=b"", lifetime=10, successor=key("b"))
        await store.create(key("a"), pointer)

        assert await store.touch(key("a"), last_seen_at=clock() + 1, expires_at=clock() + LIFETIME) is False
        assert await store.get(key("a")) == pointer

    async def test_a_touch_does_not_make_a_replace_fail(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())
        await store.touch(key("a"), last_seen_at=clock() + 1, expires_at=clock() + LIFETIME + 1)

        assert await store.replace(key("a"), clock.record(version=2), version=1) is True

    async def test_a_touch_in_parallel_does_not_undo_a_replace(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())
        touches = [
            store.touch(key("a"), last_seen_at=clock() + n, expires_at=clock() + LIFETIME + n) for n in range(10)
        ]
        new = clock.record(data=b'{"new":true}', version=2)
        answers = await together([*touches[:5], store.replace(key("a"), new, version=1), *touches[5:]])
        kept = await store.get(key("a"))

        assert all(answers)
        assert kept is not None
        assert (kept.data, kept.version) == (new.data, 2)

    # delete

    async def test_delete_forgets(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())

        assert await store.delete(key("a")) is True
        assert await store.get(key("a")) is None
        assert await store.list_user("ada") == []

    async def test_deleting_nothing_is_fine(self, store: SessionStore) -> None:
        assert await store.delete(key("a")) is False

    async def test_deleting_twice_says_false_the_second_time(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())
        await store.delete(key("a"))

        assert await store.delete(key("a")) is False

    async def test_deleting_an_expired_record_says_false(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record(lifetime=clock.short))
        await clock.outlast(clock.short)

        assert await store.delete(key("a")) is False

    async def test_delete_leaves_the_others(self, store: SessionStore, clock: ContractClock) -> None:
        other = clock.record()
        await together([store.create(key("a"), clock.record()), store.create(key("b"), other)])
        await store.delete(key("a"))

        assert await store.list_user("ada") == [(key("b"), other)]

    async def test_a_rotated_record_can_be_deleted(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record(data=b"", successor=key("b")))
        await store.delete(key("a"))

        assert await store.get(key("a")) is None

    async def test_of_parallel_deletes_one_says_true(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())

        assert (await together([store.delete(key("a")) for _ in range(10)])).count(True) == 1

    async def test_nothing_racing_a_delete_brings_the_record_back(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        for n in range(10):
            k = key(f"race-{n}")
            await store.create(k, clock.record())
            rivals = [
                store.replace(k, clock.record(version=2), version=1),
                store.touch(k, last_seen_at=clock() + 1, expires_at=clock() + 2 * LIFETIME),
                store.delete(k),
                store.touch(k, last_seen_at=clock() + 2, expires_at=clock() + 2 * LIFETIME),
                store.replace(k, clock.record(version=2), version=1),
            ]
            await together(rivals)

            assert await store.get(k) is None
        assert await store.list_user("ada") == []

    # purge

    async def test_purge_drops_the_expired_and_leaves_the_living(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        await together([store.create(key(f"k{n}"), clock.record(lifetime=clock.short)) for n in range(3)])
        alive = clock.record()
        await store.create(key("alive"), alive)
        await clock.outlast(clock.short)

        assert await store.purge() == (3 if self.purges else 0)
        assert await store.list_user("ada") == [(key("alive"), alive)]

    async def test_purge_with_nothing_to_do_says_zero(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())

        assert await store.purge() == 0
        assert await store.get(key("a")) is not None

    async def test_purge_drops_rotated_records_after_their_grace(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        await store.create(key("a"), clock.record(data=b"", lifetime=clock.short, successor=key("b")))
        await clock.outlast(clock.short)

        assert await store.purge() == (1 if self.purges else 0)

    async def test_purge_spares_what_was_touched_in_time(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record(lifetime=clock.tight))
        await store.touch(key("a"), last_seen_at=clock(), expires_at=clock() + LIFETIME)
        await clock.outlast(clock.tight)

        assert await store.purge() == 0
        assert await store.get(key("a")) is not None

    async def test_purge_drops_what_was_touched_once_it_has_expired_after_all(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        await store.create(key("a"), clock.record(lifetime=clock.short))
        await store.touch(key("a"), last_seen_at=clock(), expires_at=clock() + 2 * clock.short)
        await clock.outlast(2 * clock.short)

        assert await store.purge() == (1 if self.purges else 0)
        assert await store.list_user("ada") == []

    async def test_parallel_purges_count_each_record_once(self, store: SessionStore, clock: ContractClock) -> None:
        await together([store.create(key(f"k{n}"), clock.record(lifetime=clock.short)) for n in range(50)])
        await clock.outlast(clock.short)

        assert sum(await together([store.purge() for _ in range(4)])) == (50 if self.purges else 0)
