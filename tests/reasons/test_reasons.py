"""Why nobody is signed in: each reason, on every backend that can have it."""

import logging
from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest
from fastapi import Request

from fastapi_sessionkit import CookieBackend, MemoryStore, SessionKit, StoreBackend
from fastapi_sessionkit._request import reading
from fastapi_sessionkit.reasons import Reason
from fastapi_sessionkit.testing import signed_in
from tests.backends.support import BACKENDS
from tests.reasons.support import GRACE, IDLE, Site, reason_application, site_of
from tests.support import COOKIE, SECRET, AppSession, Clock, RecordingStore, client_of, holding

pytestmark = pytest.mark.anyio

LOADING = "fastapi_sessionkit._request.loading"


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock=clock)


@pytest.fixture(params=list(BACKENDS.values()), ids=list(BACKENDS))
async def site(request: pytest.FixtureRequest, store: MemoryStore, clock: Clock) -> AsyncIterator[Site]:
    async with site_of(request.param(store), clock) as site:
        yield site


@pytest.fixture
async def stored(store: MemoryStore, clock: Clock) -> AsyncIterator[Site]:
    async with site_of(store, clock) as site:
        yield site


async def test_there_is_none_where_somebody_is_signed_in(site: Site) -> None:
    assert await site.reason(await site.token()) is None


async def test_no_cookie(site: Site) -> None:
    assert await site.reason() == "no_cookie"


@pytest.mark.parametrize("token", ["", "none", "eyJ1c2VyX2lkIjoiYWRhIn0", "x" * 4_097, "null"])
async def test_malformed(site: Site, token: str) -> None:
    assert await site.reason(token) == "malformed"


@pytest.mark.parametrize("backend", [CookieBackend, lambda: StoreBackend(MemoryStore())])
async def test_a_token_that_was_cut_off_is_malformed(backend: Any, clock: Clock) -> None:
    async with site_of(backend(), clock) as site:
        assert await site.reason((await site.token())[:-5]) == "malformed"


async def test_bad_signature_where_the_token_was_changed(site: Site) -> None:
    token = await site.token()
    changed = ("B" if token[5] != "B" else "C").join((token[:5], token[6:]))

    assert await site.reason(changed) == "bad_signature"


@pytest.mark.parametrize("make", BACKENDS.values(), ids=BACKENDS)
async def test_bad_signature_after_a_deployment_with_another_secret(make: Any, store: Any, clock: Clock) -> None:
    async with site_of(make(store), clock, secret_key="a secret of before the deployment, long ago") as before:
        token = await before.token()
    async with site_of(make(store), clock) as after:
        assert await after.reason(token) == "bad_signature"


@pytest.mark.parametrize("is_large", [False, True], ids=["remembered", "too large to be remembered"])
@pytest.mark.parametrize("make", BACKENDS.values(), ids=BACKENDS)
async def test_a_bearers_token_is_no_cookie(
    make: Any, is_large: bool, store: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_large:
        monkeypatch.setattr(reading, "_MEMORABLE", 0)
    async with site_of(make(store), clock, bearer=True) as site:
        token = (await site.send("/token")).json()

        assert await site.reason(token) == "bad_signature"


async def test_a_bearers_token_has_the_same_reasons(store: MemoryStore, clock: Clock) -> None:
    async with site_of(store, clock, bearer=True) as site:
        ended, expired = (await site.send("/token")).json(), (await site.send("/token")).json()
        cookie = await site.token()

        assert await site.reason_of_bearer(ended) is None
        assert await site.reason_of_bearer(ended[:-1]) == "malformed"
        assert await site.reason_of_bearer("a." + "A" * 43) == "bad_signature"
        assert await site.reason_of_bearer(cookie) == "bad_signature"
        await site.kit.sessions.revoke_user("ada")
        assert {await site.reason_of_bearer(ended), await site.reason_of_bearer(expired)} == {"ended"}
        clock.advance(IDLE)
        assert await site.reason_of_bearer(expired) == "expired"


async def test_expired_after_the_idle_lifetime(site: Site, clock: Clock) -> None:
    token = await site.token()
    clock.advance(IDLE)

    assert await site.reason(token) == "expired"


async def test_expired_after_the_absolute_lifetime_however_much_it_was_used(clock: Clock) -> None:
    for make in BACKENDS.values():
        async with site_of(make(MemoryStore(clock=clock)), clock, absolute_timeout=IDLE) as site:
            token = await site.token()
            clock.advance(IDLE - 1)
            assert await site.reason(token) is None
            clock.advance(1)

            assert await site.reason(token) == "expired"


async def test_ended_by_signing_out(stored: Site) -> None:
    token = await stored.token()
    await stored.send("/out", token)

    assert await stored.reason(token) == "ended"


async def test_ended_by_somebody_who_revoked_it(stored: Site) -> None:
    token = await stored.token()
    await stored.kit.sessions.revoke_user("ada")

    assert await stored.reason(token) == "ended"


async def test_ended_by_the_sign_in_that_replaced_it(stored: Site) -> None:
    token = await stored.token()
    await stored.token("/in", token)

    assert await stored.reason(token) == "ended"


async def test_ended_where_another_process_could_not_delete_what_it_ended(clock: Clock) -> None:
    store = RecordingStore()
    async with site_of(store, clock) as site:
        token = await site.token()
        store.broken.add("delete")
        await site.send("/out", token)
    async with site_of(store, clock) as other:
        assert await other.reason(token) == "ended"


@pytest.mark.parametrize("make", BACKENDS.values(), ids=BACKENDS)
async def test_ended_by_the_revalidate_hook(make: Any, store: Any, clock: Clock) -> None:
    async def nobody(session: AppSession) -> None:
        return None

    async with site_of(make(store), clock, revalidate=nobody) as site:
        assert await site.reason(await site.token()) == "ended"


async def test_ended_in_the_request_that_signs_out(site: Site) -> None:
    assert (await site.send("/out/reason", await site.token())).json() == "ended"


async def test_a_request_that_signs_in_has_no_reason(site: Site) -> None:
    assert (await site.send("/in/reason")).json() is None


async def test_unknown_id_where_this_process_never_saw_the_session(store: MemoryStore, clock: Clock) -> None:
    async with site_of(store, clock) as one, site_of(store, clock) as other:
        token = await one.token()
        await one.send("/out", token)

        assert await other.reason(token) == "unknown_id"


async def test_unknown_id_after_a_restart_lost_a_store_in_memory(clock: Clock) -> None:
    async with site_of(MemoryStore(clock=clock), clock) as before, site_of(MemoryStore(clock=clock), clock) as after:
        assert await after.reason(await before.token()) == "unknown_id"


async def test_superseded_after_the_grace_of_a_rotation(stored: Site, clock: Clock) -> None:
    token = await stored.token()
    await stored.token("/rotate", token)
    clock.advance(GRACE)

    assert await stored.reason(token) == "superseded"


async def test_superseded_at_once_by_a_new_authentication(stored: Site) -> None:
    token = await stored.token()
    await stored.token("/again", token)

    assert await stored.reason(token) == "superseded"


async def test_in_its_grace_an_old_id_has_no_reason(stored: Site) -> None:
    token = await stored.token()
    await stored.token("/rotate", token)

    assert await stored.reason(token) is None


async def test_superseded_where_the_model_cannot_have_only_the_old_rights(store: MemoryStore, clock: Clock) -> None:
    class Employee(AppSession):
        role: str  # never without one, so what the old id had and the session still has is no session

    kit = SessionKit(Employee, secret_key=SECRET, backend=store, clock=clock)
    app = reason_application(kit)

    @app.post("/promote")
    async def promote(request: Request) -> None:
        kit.update_session(request, role="admin")

    client = signed_in(client_of(app), kit, Employee(user_id="ada", role="user"))
    old = client.cookies[COOKIE]
    client.post("/promote")

    assert holding(client, old).post("/reason").json() == "superseded"


@pytest.mark.parametrize("make", BACKENDS.values(), ids=BACKENDS)
async def test_model_mismatch(make: Any, store: MemoryStore, clock: Clock) -> None:
    class Stricter(AppSession):
        needed: str

    async with site_of(make(store), clock) as before:
        token = await before.token()
    later = SessionKit(Stricter, secret_key=SECRET, backend=make(store), clock=clock)
    client = holding(client_of(reason_application(later)), token)

    assert client.post("/reason").json() == "model_mismatch"


@pytest.mark.parametrize("make", [BACKENDS["plain"], BACKENDS["encrypted"]], ids=["plain", "encrypted"])
async def test_clock_skew_where_another_servers_clock_is_ahead(make: Any, store: Any) -> None:
    ahead, behind = Clock(), Clock()
    ahead.advance(60)
    async with site_of(make(store), ahead) as one, site_of(make(store), behind) as other:
        assert await other.reason(await one.token()) == "clock_skew"


# Several cookies of the name


async def test_two_that_lead_to_a_session_are_ambiguous(site: Site, clock: Clock) -> None:
    token = await site.token()
    clock.advance(1)

    assert await site.reason(token, await site.token()) == "ambiguous_cookie"


async def test_a_flood_of_cookies_is_ambiguous(site: Site) -> None:
    assert await site.reason(*map(str, range(9))) == "ambiguous_cookie"


async def test_of_several_that_lead_nowhere_the_first_counts(site: Site, clock: Clock) -> None:
    token = await site.token()
    clock.advance(IDLE)

    assert await site.reason(token, "junk") == "expired"
    assert await site.reason("junk", token) == "malformed"
    assert await site.reason("", "") == "malformed"


async def test_one_that_leads_to_a_session_beside_others_has_no_reason(site: Site) -> None:
    assert await site.reason("junk", await site.token(), "other") is None


# The debug log


async def test_the_debug_log_says_it_once_for_each_request(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOADING)
    await site.reason("eyJ1c2VyX2lkIjoiYWRhIn0")

    assert [record.message for record in caplog.records] == ["POST '/reason': nobody is signed in: malformed"]


async def test_the_log_says_nothing_where_somebody_is(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOADING)
    token = await site.token()
    await site.reason(token)

    assert caplog.records == []


async def test_the_log_never_holds_the_token_or_a_value(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "fastapi_sessionkit")
    token = await site.token()
    await site.send("/out", token)
    await site.reason(token[:-1] + "~")

    assert token[:20] not in caplog.text
    assert "ada" not in caplog.text


# What it costs, and who can say it


async def test_telling_why_asks_the_store_nothing_more(clock: Clock) -> None:
    store = RecordingStore()
    async with site_of(store, clock) as site:
        token = await site.token()
        await site.send("/out", token)
        store.calls.clear()
        await site.reason(token)

    assert store.calls == ["get"]


@pytest.mark.parametrize("made_up", ["{}." + "A" * 43, "{}"], ids=["with a signature", "without one"])
async def test_a_flood_of_made_up_tokens_displaces_nothing_that_is_remembered(
    made_up: str, store: MemoryStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_REMEMBERED", 2)
    async with site_of(store, clock) as site:
        token = await site.token()
        await site.send("/out", token)
        for n in range(3):
            await site.reason(made_up.format(n))

        assert await site.reason(token) == "ended"


class Passing:
    """A wrapper that passes every call on."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Silent(Passing):
    """A wrapper that can't say why."""

    absence = None


async def test_a_wrapper_keeps_the_reason(store: MemoryStore, clock: Clock) -> None:
    async with site_of(Passing(StoreBackend(store)), clock) as site:
        token = await site.token()
        await site.token("/rotate", token)
        clock.advance(GRACE)

        assert await site.reason(token) == "superseded"
        assert await site.reason("a." + "A" * 43) == "bad_signature"


async def test_a_backend_that_cannot_say_gives_the_nearest(store: MemoryStore, clock: Clock) -> None:
    async with site_of(Silent(StoreBackend(store)), clock) as site:
        token = await site.token()

        assert await site.reason() == "no_cookie"
        assert await site.reason("a." + "A" * 43) == "unknown_id"
        clock.advance(IDLE)
        assert await site.reason(token) == "expired"


def test_the_reasons_are_those_that_are_promised() -> None:
    assert set(get_args(Reason)) == {
        "no_cookie", "malformed", "bad_signature", "expired", "ended", "ambiguous_cookie", "unknown_id", "superseded",
        "model_mismatch", "clock_skew",
    }  # fmt: skip
