"""What happens to one record: read, created, replaced, kept as it is."""

from dataclasses import replace

import pytest

from ..._settings import offers
from ...stores.base import SessionRecord, SessionStore
from .base import StoreCases
from .tools import LIFETIME, ContractClock, key, together


class RecordCases(StoreCases):
    """``get``, ``create`` and ``replace``, and what comes back of what they are given."""

    # get

    async def test_it_has_every_method_of_the_protocol(self, store: SessionStore) -> None:
        assert offers(store, SessionStore)

    async def test_an_unknown_key_is_none(self, store: SessionStore) -> None:
        assert await store.get(key("a")) is None

    async def test_a_record_comes_back_as_it_was_kept(self, store: SessionStore, clock: ContractClock) -> None:
        record = clock.record(age=5, version=7)
        await store.create(key("a"), record)

        assert await store.get(key("a")) == record

    async def test_reading_changes_nothing(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())

        assert await store.get(key("a")) == await store.get(key("a"))

    async def test_an_expired_record_is_none(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record(lifetime=clock.short))
        await clock.outlast(clock.short)

        assert await store.get(key("a")) is None

    async def test_a_record_is_alive_below_its_expiry_and_gone_at_it(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        self.needs_an_exact_clock()
        await store.create(key("a"), clock.record(lifetime=60))

        clock.advance(59.75)
        assert await store.get(key("a")) is not None
        clock.advance(0.25)
        assert await store.get(key("a")) is None

    async def test_a_hundred_reads_at_once_each_get_their_own(self, store: SessionStore, clock: ContractClock) -> None:
        records = {key(f"k{n}"): clock.record(f"user-{n}") for n in range(100)}
        await together([store.create(k, record) for k, record in records.items()])

        assert await together([store.get(k) for k in records]) == list(records.values())

    async def test_the_clock_can_be_put_in_later(self, store: SessionStore, clock: ContractClock) -> None:
        self.needs_an_exact_clock()
        await store.create(key("a"), clock.record())
        store.clock = lambda: clock() + LIFETIME  # type: ignore[attr-defined]

        assert await store.get(key("a")) is None

    # create

    async def test_creating_says_true(self, store: SessionStore, clock: ContractClock) -> None:
        assert await store.create(key("a"), clock.record()) is True

    async def test_create_never_overwrites(self, store: SessionStore, clock: ContractClock) -> None:
        first = clock.record("ada")
        await store.create(key("a"), first)

        assert await store.create(key("a"), clock.record("mallory", b"{}", version=9)) is False
        assert await store.get(key("a")) == first
        assert await store.list_user("mallory") == []

    async def test_create_does_not_overwrite_a_rotated_record(self, store: SessionStore, clock: ContractClock) -> None:
        pointer = clock.record(data=b"", successor=key("b"))
        await store.create(key("a"), pointer)

        assert await store.create(key("a"), clock.record()) is False
        assert await store.get(key("a")) == pointer

    async def test_create_may_take_the_key_of_an_expired_one(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record("ada", lifetime=clock.short))
        await clock.outlast(clock.short)
        fresh = clock.record("bob", b'{"user_id":"bob"}')

        assert await store.create(key("a"), fresh) is True
        assert await store.get(key("a")) == fresh
        assert await store.list_user("ada") == []
        assert await store.list_user("bob") == [(key("a"), fresh)]

    async def test_create_may_take_the_key_of_a_deleted_one(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())
        await store.delete(key("a"))

        assert await store.create(key("a"), clock.record()) is True

    async def test_of_parallel_creates_of_one_key_one_wins(self, store: SessionStore, clock: ContractClock) -> None:
        rivals = [clock.record(f"user-{n}") for n in range(20)]
        answers = await together([store.create(key("a"), rival) for rival in rivals])

        assert answers.count(True) == 1
        assert await store.get(key("a")) == rivals[answers.index(True)]

    # replace

    async def test_replace_overwrites_every_field(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record("ada", age=100))
        new = SessionRecord(b'{"x":1}', "bob", 2, clock() - 9, clock() - 8, clock() - 7, clock() + 60, key("b"))

        assert await store.replace(key("a"), new, version=1) is True
        assert await store.get(key("a")) == new

    async def test_replace_never_creates(self, store: SessionStore, clock: ContractClock) -> None:
        assert await store.replace(key("a"), clock.record(version=2), version=1) is False
        assert await store.get(key("a")) is None
        assert await store.list_user("ada") == []

    async def test_replace_of_a_record_that_moved_on_writes_nothing(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        current = clock.record(version=2)
        await store.create(key("a"), current)

        assert await store.replace(key("a"), clock.record("mallory", b"{}", version=2), version=1) is False
        assert await store.get(key("a")) == current
        assert await store.list_user("mallory") == []

    async def test_replace_does_not_take_a_version_from_the_future(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        await store.create(key("a"), clock.record(version=1))

        assert await store.replace(key("a"), clock.record(version=3), version=2) is False

    async def test_replace_does_not_revive_an_expired_record(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record(lifetime=clock.short))
        await clock.outlast(clock.short)

        assert await store.replace(key("a"), clock.record(version=2), version=1) is False
        assert await store.get(key("a")) is None

    async def test_replace_does_not_revive_a_deleted_record(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())
        await store.delete(key("a"))

        assert await store.replace(key("a"), clock.record(version=2), version=1) is False
        assert await store.get(key("a")) is None

    async def test_of_fifty_parallel_replaces_exactly_one_wins(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())
        rivals = [clock.record(data=b'{"n":%d}' % n, version=2) for n in range(50)]
        answers = await together([store.replace(key("a"), rival, version=1) for rival in rivals])

        assert answers.count(True) == 1
        assert await store.get(key("a")) == rivals[answers.index(True)]

    async def test_a_counter_raised_under_compare_and_set_loses_no_step(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        await store.create(key("a"), clock.record(data=b"0", version=0))

        async def raise_it() -> None:
            swapped = False
            while not swapped:
                old = await store.get(key("a"))
                assert old is not None
                new = replace(old, data=b"%d" % (int(old.data) + 1), version=old.version + 1)
                swapped = await store.replace(key("a"), new, version=old.version)

        await together([raise_it() for _ in range(15)])
        counted = await store.get(key("a"))

        assert counted is not None
        assert (counted.data, counted.version) == (b"15", 15)

    async def test_replace_may_shorten_the_life(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record())
        await store.replace(key("a"), clock.record(version=2, lifetime=clock.short), version=1)
        await clock.outlast(clock.short)

        assert await store.get(key("a")) is None

    async def test_replace_may_lengthen_the_life(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record(lifetime=clock.tight))
        await store.replace(key("a"), clock.record(version=2), version=1)
        await clock.outlast(clock.tight)

        assert await store.get(key("a")) is not None

    async def test_a_replace_that_changes_the_user_moves_the_session(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        await store.create(key("a"), clock.record("ada"))
        moved = clock.record("bob", version=2)
        await store.replace(key("a"), moved, version=1)

        assert await store.list_user("ada") == []
        assert await store.list_user("bob") == [(key("a"), moved)]
        assert await store.delete_user("ada") == 0
        assert await store.get(key("a")) == moved

    async def test_a_session_can_lose_and_gain_its_user(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record("ada"))
        await store.replace(key("a"), clock.record(None, version=2), version=1)
        assert await store.list_user("ada") == []
        regained = clock.record("ada", version=3)
        await store.replace(key("a"), regained, version=2)

        assert await store.list_user("ada") == [(key("a"), regained)]

    async def test_a_rotated_record_is_readable_with_its_successor(
        self, store: SessionStore, clock: ContractClock
    ) -> None:
        await store.create(key("a"), clock.record())
        pointer = clock.record(data=b"", version=2, lifetime=10, successor=key("b"))
        await store.replace(key("a"), pointer, version=1)

        assert await store.get(key("a")) == pointer

    # what is kept

    async def test_a_mebibyte_of_data_comes_back(self, store: SessionStore, clock: ContractClock) -> None:
        record = clock.record(data=b'{"x":"' + b"0123456789abcdef" * 65_536 + b'"}')
        await store.create(key("a"), record)

        assert await store.get(key("a")) == record

    @pytest.mark.parametrize(
        "text",
        [
            "{}",
            '{"b":1,  "a":1, "a":2}',
            '{"x":"\\u0000 \\ud83d"}',
            '{"x":"\x7f\u2028\ufeff\uffff 🦀 \\" \' %s ? $1 :x"}',
        ],
        ids=["empty", "spaces, order and twice the same name", "escapes", "odd characters"],
    )
    async def test_data_comes_back_byte_for_byte(self, store: SessionStore, clock: ContractClock, text: str) -> None:
        await store.create(key("a"), clock.record(data=b"{}"))
        await store.replace(key("a"), clock.record(data=text.encode(), version=2), version=1)
        kept = await store.get(key("a"))

        assert kept is not None
        assert kept.data == text.encode()

    async def test_times_are_kept_to_the_microsecond(self, store: SessionStore, clock: ContractClock) -> None:
        base = float(int(clock()))
        record = SessionRecord(b"{}", "ada", 1, base - 0.123456, base - 0.654321, base + 0.000001, base + 99.999999)
        await store.create(key("a"), record)
        kept = await store.get(key("a"))

        assert kept is not None
        for name in ("created_at", "authenticated_at", "last_seen_at", "expires_at"):
            assert getattr(kept, name) == pytest.approx(getattr(record, name), rel=0, abs=1e-6)

    async def test_a_version_beyond_32_bits_is_kept(self, store: SessionStore, clock: ContractClock) -> None:
        await store.create(key("a"), clock.record(version=2**40))

        assert await store.replace(key("a"), clock.record(version=2**40 + 1), version=2**40) is True
