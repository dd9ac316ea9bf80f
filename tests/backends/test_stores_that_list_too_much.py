"""A store of somebody's own that lists a user's records as it finds them: unsorted, rotated ones and expired ones too."""

from collections.abc import Collection
from dataclasses import replace

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import SessionRecord, set_session, update_session
from fastapi_sessionkit.events import SessionEvent
from tests.backends.support import DAY
from tests.support import ADA, Clock, app_kit, application, client_of

pytestmark = pytest.mark.anyio


class PlainStore:
    """What the protocol's signatures say, on a ``dict``."""

    def __init__(self) -> None:
        self.records: dict[str, SessionRecord] = {}

    async def get(self, key: str) -> SessionRecord | None:
        return self.records.get(key)

    async def create(self, key: str, record: SessionRecord) -> bool:
        return self.records.setdefault(key, record) is record

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        there = self.records.get(key)
        if there is None or there.version != version:
            return False
        self.records[key] = record
        return True

    async def touch(self, key: str, *, last_seen_at: float, expires_at: float) -> bool:
        if key in self.records:
            self.records[key] = replace(self.records[key], last_seen_at=last_seen_at, expires_at=expires_at)
        return key in self.records

    async def delete(self, key: str) -> bool:
        return self.records.pop(key, None) is not None

    async def list_user(self, user_id: str) -> list[tuple[str, SessionRecord]]:
        newest_first = reversed(self.records.items())
        return [(key, record) for key, record in newest_first if record.user_id == user_id]

    async def delete_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        ending = [key for key, _ in await self.list_user(user_id) if key not in keep]
        return sum([await self.delete(key) for key in ending])

    async def purge(self) -> int:
        return 0

    async def aclose(self) -> None: ...


class Devices:
    """Three browsers of one user, signed in one after the other; the first two have got a role since."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.kit = app_kit(backend=PlainStore(), clock=clock, max_sessions_per_user=3)
        self.app, _ = application(self.kit)

        @self.app.post("/login")
        async def sign_in(request: Request) -> None:
            set_session(request, ADA)

        @self.app.post("/promote")
        async def promote(request: Request) -> None:
            update_session(request, role="editor")

        @self.app.get("/note")
        async def note(request: Request) -> str | None:
            session = await self.kit.get_session(request)
            return None if session is None else session.note

        self.browsers = [self.new() for _ in range(3)]
        for browser in self.browsers[:2]:
            browser.post("/promote")

    def new(self) -> TestClient:
        self.clock.advance(5)
        browser = client_of(self.app)
        browser.post("/login")
        return browser

    async def listed(self) -> list[float]:
        return [each.created_at.timestamp() for each in await self.kit.sessions.list("ada")]

    def signed_in(self) -> list[bool]:
        return [browser.get("/note").json() is not None for browser in self.browsers]


@pytest.fixture
def devices(clock: Clock) -> Devices:
    return Devices(clock)


async def test_sessions_are_listed_once_and_oldest_first(devices: Devices) -> None:
    listed = await devices.listed()

    assert len(listed) == 3
    assert listed == sorted(listed)


async def test_the_limit_counts_sessions_and_ends_the_oldest(devices: Devices) -> None:
    devices.browsers.append(devices.new())

    assert devices.signed_in() == [False, True, True, True]


async def test_what_has_expired_takes_no_place_and_is_not_ended(devices: Devices) -> None:
    ended: list[SessionEvent] = []
    devices.kit.on("revoked")(ended.append)
    devices.clock.advance(8 * DAY)
    devices.browsers = [devices.new() for _ in range(3)]

    assert devices.signed_in() == [True, True, True]
    assert ended == []


async def test_changes_and_ends_are_counted_by_session(devices: Devices) -> None:
    assert await devices.kit.sessions.update_user("ada", note="hi") == 3
    assert [browser.get("/note").json() for browser in devices.browsers] == ["hi"] * 3
