"""What every `SessionStore` must do, as tests to inherit. Users import it from ``fastapi_sessionkit.testing``."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import pytest

from .stores.base import SessionRecord, SessionStore

Answer = TypeVar("Answer")

LIFETIME = 600.0
"""Seconds a record lives here unless a case says otherwise."""

PATIENCE = 30.0
"""Seconds that an engine may take to finish what it does in its own time: slow machines take some."""

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


def key(name: str) -> str:
    """A key as the library makes them: 64 hexadecimal digits."""
    return hashlib.sha256(name.encode()).hexdigest()


async def together(calls: Sequence[Awaitable[Answer]]) -> list[Answer]:
    """Run the calls at the same time and give their answers in order."""
    return await asyncio.gather(*calls)


class ContractClock:
    """The time the cases go by: set by hand, or real where an engine keeps its own.

    Attributes:
        short: seconds that a record lives which is to expire.
        tight: seconds that a record lives which is to be saved before it expires: a call arrives within them even on
            a busy machine.
    """

    def __init__(self, *, real: bool) -> None:
        self.real: bool = real
        self.short: float = 0.25 if real else 60.0
        self.tight: float = 2.0 if real else 60.0
        self._now = 1_800_000_000.25

    def __call__(self) -> float:
        # Milliseconds: a store may keep times to the microsecond, and most cases compare whole records.
        return round(time.time(), 3) if self.real else self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    async def outlast(self, seconds: float) -> None:
        """Come back when a record that was given that many seconds just now has expired."""
        if not self.real:
            self.advance(seconds)
            return
        until = time.time() + seconds + 0.05
        # More than once if the machine's clock is set back meanwhile.
        while (left := until - time.time()) > 0:  # noqa: ASYNC110 - no event says what time it is
            await asyncio.sleep(left)

    def record(
        self,
        user_id: str | None = "ada",
        data: bytes = b'{"user_id":"ada"}',
        *,
        version: int = 1,
        age: float = 0.0,
        lifetime: float = LIFETIME,
        successor: str | None = None,
    ) -> SessionRecord:
        """A record created ``age`` seconds ago that expires ``lifetime`` seconds from now."""
        now = self()
        return SessionRecord(
            data=data,
            user_id=user_id,
            version=version,
            created_at=now - age,
            authenticated_at=now - age,
            last_seen_at=now,
            expires_at=now + lifetime,
            successor=successor,
        )


@pytest.mark.anyio
class SessionStoreContract:
    """Inherit this in a class whose name starts with ``Test`` and say how an *empty* store is made.

    ::

        class TestMyStore(SessionStoreContract):
            async def make_store(self, clock):
                return MyStore(clock=clock)

    Override the ``store`` fixture instead when making one needs other fixtures. Needs the pytest plugin that anyio
    brings along; nothing has to be configured.

    Attributes:
        can_set_clock: ``False`` where the engine decides by its own clock what has expired (as Redis does). The
            records are then dated around the real time, a few cases wait for a quarter of a second or for two, and
            the few that need an exact time are skipped.
        purges: ``False`` where the engine drops the expired by itself, so that ``purge`` has nothing to count.
    """

    can_set_clock: ClassVar[bool] = True
    purges: ClassVar[bool] = True

    async def make_store(self, clock: Callable[[], float]) -> SessionStore:
        """An empty store that goes by ``clock``."""
        raise NotImplementedError(f"{type(self).__name__}.make_store must return an empty store.")

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Asyncio, which is what FastAPI's servers run on."""
        return "asyncio"

    @pytest.fixture
    def clock(self) -> ContractClock:
        return ContractClock(real=not self.can_set_clock)

    @pytest.fixture
    async def store(self, clock: ContractClock) -> AsyncIterator[SessionStore]:
        store = await self.make_store(clock)
        yield store
        await store.aclose()

    # get

    async def test_it_has_every_method_of_the_protocol(self, store: SessionStore) -> None:
        assert isinstance(store, SessionStore)

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
        self._needs_an_exact_clock()
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
        self._needs_an_exact_clock()
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

    async def test_parallel_purges_count_each_record_once(self, store: SessionStore, clock: ContractClock) -> None:
        await together([store.create(key(f"k{n}"), clock.record(lifetime=clock.short)) for n in range(50)])
        await clock.outlast(clock.short)

        assert sum(await together([store.purge() for _ in range(4)])) == (50 if self.purges else 0)

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

    def _needs_an_exact_clock(self) -> None:
        if not self.can_set_clock:
            pytest.skip("the engine goes by its own clock")


async def cut_off(call: Awaitable[object], steps: int) -> None:
    """Start the call, let the event loop turn ``steps`` times, and cancel it."""
    task = asyncio.ensure_future(call)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def eventually(check: Callable[[], Awaitable[bool]]) -> bool:
    """Whether the check comes true, for what happens in an engine's own time."""
    deadline = time.monotonic() + PATIENCE
    while not await check():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def sorted_by_key(sessions: Sequence[tuple[str, SessionRecord | None]]) -> list[tuple[str, SessionRecord | None]]:
    return sorted(sessions, key=lambda session: session[0])
