"""Attacks on the session's id and its cookie, by name: fixation, tossing, invention, replay, theft, escalation.

Source: OWASP Session Management Cheat Sheet; RFC 6265bis, section 8 (security considerations).
"""

from dataclasses import dataclass, field
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import Signer

from fastapi_sessionkit import (
    CookieBackend,
    CookieSettings,
    Session,
    SessionKit,
    SessionRecord,
    clear_session,
    get_session,
    regenerate_session,
    require_role,
    set_session,
    update_session,
)
from tests.support import COOKIE, SECRET, SITE, Clock, RecordingStore

GRACE = 10.0

Visitor = Annotated[Session | None, Depends(get_session)]


class SpiedStore(RecordingStore):
    """A store whose table can be stolen."""

    def dump(self) -> dict[str, SessionRecord]:
        """What somebody has who stole the table."""
        return dict(self._records)


@dataclass
class Site:
    """The application as a stranger meets it: every request says which cookies it brings."""

    store: SpiedStore | None = field(default_factory=SpiedStore)
    clock: Clock = field(default_factory=Clock)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        backend = {} if self.store is None else {"backend": self.store}
        self.kit = SessionKit(**{"secret_key": SECRET, "clock": self.clock, **backend, **self.options})
        self.app = FastAPI()
        self.kit.install(self.app)
        _add_endpoints(self.app)

    async def post(self, path: str, *cookies: str, name: str | None = None) -> httpx.Response:
        return await self.send("POST", path, *cookies, name=name)

    async def who(self, *cookies: str) -> str | None:
        """Whom the application takes the bearer of these cookies for."""
        response = await self.send("GET", "/who", *cookies)
        assert response.status_code == 200
        found: str | None = response.json()
        return found

    async def send(self, method: str, path: str, *cookies: str, name: str | None = None) -> httpx.Response:
        header = "; ".join(f"{name or self.kit.cookie_name}={cookie}" for cookie in cookies)
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
            return await client.request(method, path, headers={"cookie": header} if cookies else {})

    async def sign_in(self, user: str, *cookies: str) -> str:
        return cookie_of(await self.post(f"/sign-in/{user}", *cookies))


def _add_endpoints(app: FastAPI) -> None:
    @app.get("/who")
    async def who(session: Visitor):
        return None if session is None else session.user_id

    @app.post("/sign-in/{user}")
    async def sign_in(request: Request, user: str):
        set_session(request, Session(user_id=user, role="user"))

    @app.post("/sign-out")
    async def sign_out(request: Request):
        clear_session(request)

    @app.post("/promote/{role}")
    async def promote(request: Request, role: str, session: Visitor):
        update_session(request, role=role)

    @app.post("/note/{text}")
    async def note(request: Request, text: str):
        update_session(request, note=text)

    @app.post("/regenerate")
    async def regenerate(request: Request):
        regenerate_session(request)

    @app.get("/admin", dependencies=[Depends(require_role("admin"))])
    async def admin():
        return "for admins"


def cookie_of(response: httpx.Response) -> str:
    """The value of the one cookie that a response sets."""
    (header,) = response.headers.get_list("set-cookie")
    value: str = header.partition(";")[0].partition("=")[2]
    return value


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture(params=["cookie", "memory"])
def either(request: pytest.FixtureRequest) -> Site:
    return Site(store=SpiedStore() if request.param == "memory" else None)


# Session fixation


@pytest.mark.anyio
async def test_fixation_by_a_cookie_planted_before_the_sign_in(either: Site) -> None:
    planted = await either.sign_in("mallory")

    after = await either.sign_in("ada", planted)

    assert after != planted
    assert await either.who(after) == "ada"
    assert await either.who(planted) != "ada"


@pytest.mark.anyio
async def test_fixation_ends_the_session_that_was_planted(site: Site) -> None:
    planted = await site.sign_in("mallory")

    await site.sign_in("ada", planted)

    assert await site.who(planted) is None


@pytest.mark.anyio
async def test_fixation_by_a_cookie_without_a_session_leaves_no_id_behind(site: Site) -> None:
    """The store never saw the id, and after the sign-in still has not."""
    invented = "x" * 43

    after = await site.sign_in("ada", invented)

    assert invented not in after
    assert await site.who(invented) is None
    assert len(site.store.dump() if site.store else {}) == 1


@pytest.mark.anyio
async def test_fixation_by_signing_in_twice_gives_a_new_id_each_time(site: Site) -> None:
    first = await site.sign_in("ada")
    second = await site.sign_in("ada", first)

    assert first != second
    assert await site.who(first) is None
    assert await site.who(second) == "ada"


@pytest.mark.anyio
async def test_fixation_by_rotating_into_a_known_id(site: Site) -> None:
    planted = await site.sign_in("mallory")
    moved = cookie_of(await site.post("/regenerate", planted))

    after = await site.sign_in("ada", planted)  # in its grace, so it still leads to mallory's session

    assert await site.who(after) == "ada"
    assert await site.who(planted) is None
    assert await site.who(moved) is None


# Cookie tossing


@pytest.mark.anyio
@pytest.mark.parametrize("attacker_first", [True, False])
async def test_tossing_a_second_cookie_from_a_subdomain_signs_nobody_in(either: Site, *, attacker_first: bool) -> None:
    ada, mallory = await either.sign_in("ada"), await either.sign_in("mallory")
    cookies = (mallory, ada) if attacker_first else (ada, mallory)

    assert await either.who(*cookies) is None


@pytest.mark.anyio
async def test_tossing_does_not_decide_whose_session_a_sign_in_ends(site: Site) -> None:
    ada, mallory = await site.sign_in("ada"), await site.sign_in("mallory")

    await site.sign_in("eve", ada, mallory)

    assert await site.who(ada) == "ada"
    assert await site.who(mallory) == "mallory"


@pytest.mark.anyio
async def test_tossing_a_cookie_without_the_prefix_is_not_looked_at(either: Site) -> None:
    """A subdomain can set ``session``; ``__Host-session`` only the site itself can (RFC 6265bis, section 4.1.3.2)."""
    mallory = await either.sign_in("mallory")

    response = await either.send("GET", "/who", mallory, name="session")

    assert either.kit.cookie_name == COOKIE
    assert response.json() is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    "name", [" __Host-session", "\t__Host-session", "__host-session", "__HOST-SESSION", "x__Host-session"]
)
async def test_tossing_a_cookie_whose_name_only_looks_alike(either: Site, name: str) -> None:
    """Browsers drop a space before a name, so that one is the cookie itself; any other spelling is another cookie."""
    mallory = await either.sign_in("mallory")
    expected = "mallory" if name.strip() == COOKIE else None

    assert (await either.send("GET", "/who", mallory, name=name)).json() == expected


@pytest.mark.anyio
@pytest.mark.parametrize("space", [b"\xa0", b"\x85", b"\x1c", b"\x0b", b"\x0c"])
async def test_tossing_a_cookie_behind_a_space_that_only_python_knows(either: Site, space: bytes) -> None:
    mallory = await either.sign_in("mallory")
    header = space + f"{COOKIE}={mallory}".encode()

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=either.app), base_url="https://x") as client:
        response = await client.get("/who", headers=[(b"cookie", header)])

    assert response.json() is None


# Invented and altered tokens


@pytest.mark.anyio
@pytest.mark.parametrize(
    "token",
    ["x", "0" * 64, "x" * 43, "x" * 43 + "." + "x" * 43, ".", "..", "null", "{}", "x" * 4_096, '"quoted"', "=", "\x00"],
)
async def test_an_invented_id_is_not_adopted_and_never_reaches_the_store(site: Site, token: str) -> None:
    assert await site.who(token) is None
    assert site.store is not None
    assert site.store.calls == []


@pytest.mark.anyio
async def test_an_id_signed_with_another_secret_never_reaches_the_store(site: Site) -> None:
    other = Site(options={"secret_key": "another secret of at least thirty-two characters"})
    token = await other.sign_in("mallory")

    assert await site.who(token) is None
    assert site.store is not None
    assert site.store.calls == []


@pytest.mark.anyio
async def test_an_id_signed_for_another_purpose_never_reaches_the_store(site: Site) -> None:
    """Somebody has the application sign things with the same secret elsewhere, a password reset for example."""
    token = Signer(SECRET).sign("x" * 43).decode()

    assert await site.who(token) is None
    assert site.store is not None
    assert site.store.calls == []


@pytest.mark.anyio
async def test_a_token_of_one_kind_does_not_pass_for_another(site: Site) -> None:
    """The same secret everywhere: ids, signed sessions, encrypted ones, another kit's, another cookie's."""
    staff = {"name": "staff"}
    renamed = {"cookie": CookieSettings(name="other")}
    others = [
        Site(store=None),
        Site(store=None, options={"backend": CookieBackend(encrypt=True)}),
        Site(options=staff),
        Site(store=None, options=staff),
        Site(options=renamed),
    ]
    for other in others:
        token = await other.sign_in("mallory")
        assert await other.who(token) == "mallory"
        for target in [site, *others]:
            assert target is other or await target.who(token) is None


@pytest.mark.anyio
@pytest.mark.parametrize("encrypt", [True, False])
@given(
    at=st.integers(0, 10_000), byte=st.sampled_from(range(0x21, 0x7F)), what=st.sampled_from(["set", "cut", "insert"])
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_an_altered_token_is_nobody_or_whom_it_was_made_for(
    *, encrypt: bool, at: int, byte: int, what: str
) -> None:
    """Base64 has several spellings of one text, so an altered token may be the same; it is never somebody else's."""
    site = Site(store=None, options={"backend": CookieBackend(encrypt=encrypt)})
    token = await site.sign_in("ada")
    at %= len(token)
    rest = {"set": token[at + 1 :], "cut": token[at + 1 :], "insert": token[at:]}[what]
    altered = token[:at] + ("" if what == "cut" else chr(byte)) + rest

    assert await site.who(altered) in {None, "ada"}


@pytest.mark.anyio
async def test_half_of_one_token_with_half_of_another_is_nobody() -> None:
    site = Site(store=None)
    ada, mallory = await site.sign_in("ada"), await site.sign_in("mallory")
    body, _, signature = ada.rpartition(".")
    other_body, _, other_signature = mallory.rpartition(".")

    assert await site.who(f"{body}.{other_signature}") is None
    assert await site.who(f"{other_body}.{signature}") is None


# Replay


@pytest.mark.anyio
async def test_replay_of_a_cookie_after_signing_out(site: Site) -> None:
    token = await site.sign_in("ada")

    await site.post("/sign-out", token)

    assert await site.who(token) is None
    assert (await site.post("/note/x", token)).status_code == 401


@pytest.mark.anyio
async def test_replay_after_signing_out_of_the_id_that_the_session_had_before(site: Site) -> None:
    """Signing out gives no grace, not to the old ids either."""
    old = await site.sign_in("ada")
    new = cookie_of(await site.post("/regenerate", old))

    await site.post("/sign-out", new)

    assert await site.who(new) is None
    assert await site.who(old) is None


@pytest.mark.anyio
async def test_signing_out_with_an_old_id_in_its_grace_ends_the_session(site: Site) -> None:
    old = await site.sign_in("ada")
    new = cookie_of(await site.post("/regenerate", old))

    await site.post("/sign-out", old)

    assert await site.who(new) is None
    assert await site.who(old) is None


@pytest.mark.anyio
async def test_replay_of_an_expired_cookie(either: Site) -> None:
    token = await either.sign_in("ada")

    either.clock.advance(7 * 86_400)

    assert await either.who(token) is None


@pytest.mark.anyio
async def test_replay_keeps_no_session_alive_beyond_its_absolute_lifetime(either: Site) -> None:
    token = await either.sign_in("ada")

    for _ in range(40):
        response = await either.send("GET", "/who", token)
        token = cookie_of(response) if "set-cookie" in response.headers else token
        either.clock.advance(86_400)

    assert await either.who(token) is None


# A stolen table


@pytest.mark.anyio
async def test_a_stolen_dump_of_the_store_opens_no_session(site: Site) -> None:
    token = await site.sign_in("ada")
    assert site.store is not None
    for key, record in site.store.dump().items():
        assert token not in {key, record.data.decode()}
        assert token.partition(".")[0].encode() not in key.encode() + record.data
        for stolen in (key, key.upper(), f"{key}.{key}", record.data.decode(), bytes.fromhex(key).hex()):
            assert await site.who(stolen) is None


@pytest.mark.anyio
async def test_a_dump_with_an_old_secret_opens_no_session(site: Site) -> None:
    """Even who can sign needs the id, and the store has only its hash."""
    await site.sign_in("ada")
    assert site.store is not None
    signer = site.kit.backend._records._signer  # type: ignore[attr-defined]  # noqa: SLF001 - the attacker has the secret

    for key in site.store.dump():
        assert await site.who(signer.sign(key).decode()) is None


# Escalation


@pytest.mark.anyio
async def test_a_change_of_privileges_moves_to_a_new_id(either: Site) -> None:
    old = await either.sign_in("ada")

    new = cookie_of(await either.post("/promote/admin", old))

    assert new != old
    assert (await either.send("GET", "/admin", new)).status_code == 200


@pytest.mark.anyio
async def test_after_a_change_of_privileges_the_old_id_ends_with_its_grace(site: Site) -> None:
    """An id that leaked before the promotion is not an administrator's for longer than that."""
    old = await site.sign_in("ada")
    new = cookie_of(await site.post("/promote/admin", old))

    site.clock.advance(GRACE)

    assert await site.who(old) is None
    assert await site.who(new) == "ada"


@pytest.mark.anyio
async def test_an_old_id_in_its_grace_neither_gets_a_cookie_nor_extends_itself(site: Site) -> None:
    old = await site.sign_in("ada")
    await site.post("/promote/admin", old)

    for _ in range(3):
        site.clock.advance(GRACE / 4)
        for method, path in (("GET", "/who"), ("POST", "/note/x"), ("POST", "/regenerate"), ("POST", "/promote/user")):
            response = await site.send(method, path, old)
            assert response.status_code == 200
            assert "set-cookie" not in response.headers
    site.clock.advance(GRACE / 4)

    assert await site.who(old) is None


@pytest.mark.anyio
async def test_an_old_id_in_its_grace_has_no_more_rights_than_the_session_has_now(site: Site) -> None:
    token = await site.sign_in("ada")
    admin = cookie_of(await site.post("/promote/admin", token))
    user = cookie_of(await site.post("/promote/user", admin))

    for each in (token, admin, user):
        assert (await site.send("GET", "/admin", each)).status_code == 403


@pytest.mark.anyio
async def test_a_change_that_is_no_privilege_keeps_the_id(site: Site) -> None:
    token = await site.sign_in("ada")

    response = await site.post("/note/x", token)

    assert "set-cookie" not in response.headers
    assert await site.who(token) == "ada"
