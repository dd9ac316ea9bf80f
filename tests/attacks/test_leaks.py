"""Attack: reading what lies around. No log, ``repr``, error, traceback or schema holds an id, a token, a secret or a value."""

import asyncio
import logging
import re
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from fastapi_sessionkit import (
    Access,
    CookieSettings,
    RouterGuard,
    Rule,
    SessionBackend,
    SessionKit,
    SessionRecord,
    SessionStore,
    StoreUnavailable,
    custom,
    fresh,
    owner,
    permission,
    role,
)
from fastapi_sessionkit.backends import BackendContext, Loaded, Written
from tests.attacks.support import Site
from tests.support import COOKIE, SECRET, AppSession, Clock, RecordingStore, app_kit

VALUES = ("ada-lovelace-of-the-id", "ada@engines.example", "a-role-of-ada", "a-note-of-ada", "a-permission-of-ada")
ADA = AppSession(user_id=VALUES[0], email=VALUES[1], role=VALUES[2], note=VALUES[3], permissions=(VALUES[4],))
GUARD = RouterGuard(
    protect=[
        Rule("/raises", allow=lambda session: {}[session.note]),
        Rule("/people/{user_id}", requires=owner("user_id")),
        Rule("/admin/**", role="admin", redirect_to="/no"),
        Rule("/old", fresh=1),
        Rule("/fails", public=True),
    ],
    login_path="/login",
    debug=True,
)


def secrets_of(tokens: list[str]) -> Iterator[str]:
    """What must not be found anywhere."""
    yield from (*VALUES, SECRET)
    for token in tokens:
        yield from (part for part in (token, *token.split(".")) if len(part) > 20)


def assert_clean(text: str, tokens: list[str]) -> None:
    assert [secret for secret in secrets_of(tokens) if secret in text] == []


@pytest.fixture
def guarded(backend: SessionBackend | SessionStore, clock: Clock) -> Iterator[Site]:
    site = Site(backend, guard=GUARD, clock=clock)
    site.ada = ADA

    @site.app.get("/fails")
    async def fails() -> None:
        raise LookupError("an error of the application's")

    with site.client:
        yield site


def driven(site: Site) -> tuple[list[str], str]:
    """The tokens that went around, and every answer but those that are Ada's own, after a visit of everything."""
    tokens = [site.token("cookie"), site.token("bearer")]
    tokens += [tokens[0][:-1] + "!", "A" * 43 + "." + "B" * 43]
    answers = []
    paths = (
        "/raises",
        "/people/1",
        f"/people/{VALUES[0]}x",
        "/admin/x",
        "/old",
        "/fails",
        "/none",
        "/openapi.json",
        "/a//b",
    )
    for token, carrier in zip(tokens, ("cookie", "bearer", "cookie", "cookie"), strict=True):
        for path in paths:
            answer = site.request("GET", path, token, carrier)
            answers.append(f"{answer.headers}\n{answer.text.replace(path, '')}".replace(path, ""))
        foreign = {"Cookie": f"{COOKIE}={token}", "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        answers.append(site.client.post("/change", headers=foreign).text)
        answers.append(site.client.get("/me", headers={"Cookie": f"{COOKIE}={token}; a={'b' * 20_000}"}).text)
    site.request("POST", "/change", tokens[0])
    rotated = site.request("POST", "/rotate", tokens[0]).headers["set-cookie"]
    tokens.append(rotated.partition("=")[2].partition(";")[0])
    site.request("POST", "/logout", tokens[-1])
    return tokens, "\n".join(answers)


def test_attack_by_reading_logs_and_answers(guarded: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("fastapi_sessionkit", "sqlalchemy", "aiosqlite", "asyncpg", "psycopg", "redis"):
        caplog.set_level(logging.INFO if name == "sqlalchemy" else logging.DEBUG, name)
    tokens, answers = driven(guarded)
    logged = caplog.text.replace(f"/people/{VALUES[0]}x", "")  # a path that the client wrote

    assert "denied" in logged
    assert_clean(logged, tokens)
    assert_clean(answers, tokens)


def test_attack_by_reading_what_objects_say_of_themselves(
    guarded: Site, backend: SessionBackend | SessionStore, clock: Clock
) -> None:
    token = guarded.token()
    record = SessionRecord(ADA.model_dump_json().encode(), ADA.user_id, 1, 0.0, 0.0, 0.0, 1.0)
    context = BackendContext((SECRET,), "salt", clock, lambda: "", 4_096)
    kit: Any = guarded.kit
    shown = [
        *(
            backend,
            kit,
            kit.backend,
            kit.services,
            kit.sessions,
            kit.services.transport,
            kit.services.codec,
            GUARD,
            context,
        ),
        *GUARD.rules,
        *(record, Loaded(record, "0" * 64, before=record.data), Written(record, token), CookieSettings(), Access()),
        *(role("admin"), permission("x"), fresh(60), owner("user_id"), custom(bool), StoreUnavailable()),
        *(kit.require_session, kit.require_role("admin"), kit.get_session),
    ]

    for each in shown:
        assert_clean(f"{each!r} {each}", [token])


def test_attack_by_reading_the_traceback_of_a_failure(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    store = RecordingStore()
    site = Site(store, clock=clock)
    site.ada = ADA
    token = site.token()
    store.broken = {"get", "create", "replace", "delete"}
    caplog.set_level(logging.DEBUG)
    answers = [
        site.request(method, path, token) for method, path in (("GET", "/me"), ("POST", "/change"), ("POST", "/login"))
    ]
    with pytest.raises(StoreUnavailable) as raised:
        asyncio.run(_load(site, token))

    assert {answer.status_code for answer in answers} == {503}
    assert_clean(" ".join(answer.text for answer in answers), [token])
    assert_clean("".join(traceback.format_exception(raised.value)), [token])
    assert_clean(caplog.text, [token])


async def _load(site: Site, token: str) -> None:
    await site.kit.backend.load(token.encode())


def test_attack_by_reading_what_a_driver_says_of_its_failure(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    class Talking(RecordingStore):
        async def get(self, key: str) -> SessionRecord | None:
            raise ValueError(f"no row has the key {key}")

    kit = app_kit(backend=Talking(), clock=clock)
    backend = kit.services.backend
    token = asyncio.run(backend.create(SessionRecord(b"{}", None, 1, clock(), 0.0, clock(), clock() + 60)))

    with pytest.raises(StoreUnavailable):
        asyncio.run(backend.load(token.encode()))
    assert "Session store failed: ValueError" in caplog.text
    assert "no row has" not in caplog.text


def test_attack_by_reading_the_error_about_a_secret() -> None:
    for wrong in (SECRET[:31], [SECRET, "short"], [SECRET, None], {SECRET: 1}):
        with pytest.raises(ValueError, match="secret") as raised:
            SessionKit(AppSession, secret_key=wrong)  # type: ignore[arg-type]
        assert SECRET[:31] not in str(raised.value)


def test_attack_by_reading_the_schema(guarded: Site) -> None:
    token = guarded.token()
    schema = guarded.client.get("/openapi.json").text

    assert COOKIE in schema
    assert_clean(schema, [token])
    assert re.search(r'"(const|example|default)":"a-', schema) is None
