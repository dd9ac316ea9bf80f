"""What a token is, and what else a client may send for one."""

import re
from collections.abc import Iterator

import pytest

from ..._settings import offers
from ...backends.base import SessionBackend
from ...errors import ConfigurationError
from .base import LIMIT, BackendCases, kit_context
from .tools import ContractClock, begun, facts, together

MADE_UP = {
    "empty": b"",
    "dots": b"...",
    "spaces": b"   ",
    "an id": b"A" * 43,
    "an id and a signature": b"A" * 43 + b"." + b"A" * 43,
    "JSON": b'{"user_id":"ada"}',
    "Base64 of JSON": b"eyJ1c2VyX2lkIjoiYWRhIn0",
    "quoted": b'"A.A"',
    "a NUL": b"\x00",
    "UTF-8": "Zoë.渡辺".encode(),
    "no UTF-8": b"\xff\xfe.\xfd",
    "oversized": b"A" * 100_000,
    "oversized, with dots": b"A." * 50_000,
}

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750, section 2.1; each of these may be in a cookie too


class TokenCases(BackendCases):
    """``bind``, ``overflow``, ``create``, ``load`` and ``aclose``."""

    async def test_it_has_every_method_of_the_protocol(self, backend: SessionBackend) -> None:
        assert offers(backend, SessionBackend)

    async def test_it_belongs_to_one_kit(self, backend: SessionBackend, clock: ContractClock) -> None:
        with pytest.raises(ConfigurationError):
            backend.bind(kit_context(clock))

    # create and load

    async def test_a_token_leads_to_its_record(self, backend: SessionBackend, clock: ContractClock) -> None:
        record = clock.record(age=5)
        token, loaded = await begun(backend, record)

        assert facts(loaded.record) == facts(record)
        assert loaded.superseded is False
        assert facts((await begun(backend, record))[1].record) == facts(record)
        assert await backend.load(token) == loaded

    async def test_a_token_can_stand_in_any_header(self, backend: SessionBackend, clock: ContractClock) -> None:
        assert _TOKEN.fullmatch(await backend.create(clock.record()))

    async def test_the_user_is_part_of_what_is_kept(self, backend: SessionBackend, clock: ContractClock) -> None:
        self.needs_sessions_that_end()
        _, loaded = await begun(backend, clock.record("ada"))

        assert loaded.record.user_id == "ada"

    async def test_each_session_has_a_token_of_its_own(self, backend: SessionBackend, clock: ContractClock) -> None:
        records = [clock.record(f"user-{n}", b'{"n":%d}' % n) for n in range(50)]
        tokens = await together([backend.create(record) for record in records])
        loaded = await together([backend.load(token.encode()) for token in tokens])

        assert len(set(tokens)) == 50
        assert [found and facts(found.record) for found in loaded] == [facts(record) for record in records]

    async def test_a_token_of_an_expired_session_is_none(self, backend: SessionBackend, clock: ContractClock) -> None:
        token = await backend.create(clock.record(lifetime=clock.short))
        await clock.outlast(clock.short)

        assert await backend.load(token.encode()) is None

    # what else a client may send

    @pytest.mark.parametrize("token", MADE_UP.values(), ids=MADE_UP.keys())
    async def test_what_is_no_token_is_none(self, backend: SessionBackend, token: bytes) -> None:
        assert await backend.load(token) is None

    async def test_a_token_that_was_tampered_with_is_none(self, backend: SessionBackend, clock: ContractClock) -> None:
        token = (await backend.create(clock.record())).encode()

        assert [forged for forged in _forgeries(token) if await backend.load(forged) is not None] == []
        assert await backend.load(token) is not None

    @pytest.mark.parametrize(
        "setting", [{"secret_keys": ("another secret of a kit that is not there",)}, {"salt": "another kit"}]
    )
    async def test_a_token_of_another_kit_is_none(
        self, backend: SessionBackend, clock: ContractClock, setting: dict[str, object]
    ) -> None:
        other = await self.bound(clock, **setting)
        token = (await other.create(clock.record())).encode()

        assert await other.load(token) is not None
        assert await backend.load(token) is None
        await other.aclose()

    async def test_a_token_that_the_client_made_up_is_not_adopted(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        for made_up in MADE_UP.values():
            await backend.load(made_up)
        token = await backend.create(clock.record())

        assert token.encode() not in MADE_UP.values()
        assert [made_up for made_up in MADE_UP.values() if await backend.load(made_up) is not None] == []

    # the limit

    async def test_what_does_not_overflow_has_a_token_within_the_limit(
        self, backend: SessionBackend, clock: ContractClock
    ) -> None:
        records = [clock.record(data=b'{"x":"%s"}' % (b"x" * size)) for size in range(0, 2 * LIMIT, LIMIT // 8)]
        fitting = [record for record in records if backend.overflow(record) <= 0]

        assert fitting
        assert max([len(await backend.create(record)) for record in fitting]) <= LIMIT

    async def test_asking_for_the_overflow_writes_nothing(self, backend: SessionBackend, clock: ContractClock) -> None:
        directory = self.needs_a_directory(backend)
        backend.overflow(clock.record())

        assert await directory.of_user("ada") == []

    # closing

    async def test_closing_twice_is_fine(self, backend: SessionBackend) -> None:
        await backend.aclose()
        await backend.aclose()

    async def test_a_call_after_closing_opens_again(self, backend: SessionBackend, clock: ContractClock) -> None:
        await backend.aclose()
        token = await backend.create(clock.record())

        assert await backend.load(token.encode()) is not None


def _forgeries(token: bytes) -> Iterator[bytes]:
    """The token with one character changed, for each of them; and in other spellings."""
    for place, character in enumerate(token):
        yield token[:place] + (b"B" if character == ord("A") else b"A") + token[place + 1 :]
    yield from (token[:-1], token[1:], token + token, token[::-1], token.swapcase())
    yield from (token + end for end in (b"=", b" ", b"\x00", b".", b"A", b"\xff"))
    yield from (start + token for start in (b"=", b" ", b"\x00", b".", b"A", b"\xff"))
    yield b'"' + token + b'"'
