"""``SessionKit(revalidate=…)``: the application is asked, every now and then, whether the session still holds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from fastapi_sessionkit import ConfigurationError, CookieBackend, MemoryStore, RouterGuard, Rule, SessionKit
from fastapi_sessionkit._request import revalidation
from tests.stack.application import GRACE, Browser, StackSession, World
from tests.support import SECRET, Clock, new_kit

pytestmark = pytest.mark.anyio

EVERY = 60.0

Answer = StackSession | None


class Accounts:
    """What the application knows: it counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[StackSession] = []
        self.answer: Callable[[StackSession], Answer] = lambda session: session

    async def __call__(self, session: StackSession) -> Answer:
        self.asked.append(session)
        await asyncio.sleep(0)
        return self.answer(session)


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture(params=["cookie", "memory"])
def world(request: pytest.FixtureRequest, accounts: Accounts, clock: Clock) -> World:
    return world_of(accounts, clock, CookieBackend() if request.param == "cookie" else MemoryStore())


@pytest.fixture
def stored(accounts: Accounts, clock: Clock) -> World:
    return world_of(accounts, clock, MemoryStore())


def world_of(
    accounts: Callable[[StackSession], Awaitable[Answer]], clock: Clock, backend: Any, **options: Any
) -> World:
    world = World(backend, clock, revalidate=accounts, **{"revalidate_every": EVERY, **options})

    @world.app.get("/failing")
    async def failing(request: Request, session: StackSession = Depends(world.kit.require_session)):
        raise RuntimeError("a bug of the application")

    @world.app.get("/maintenance")
    async def maintenance(session: StackSession | None = Depends(world.kit.get_session)):
        return JSONResponse({}, 500)

    return world


def disabled(session: StackSession) -> Answer:
    return None


def promoted(session: StackSession) -> Answer:
    return session.model_copy(update={"role": "admin"})


# It holds


async def test_a_session_that_holds_is_served_and_nothing_is_written(world: World, accounts: Accounts) -> None:
    browser = await world.signed_in()
    answer = await browser.get("/me")

    assert (answer.status, answer.token) == (200, None)
    assert [session.user_id for session in accounts.asked] == ["ada"]


async def test_an_answer_holds_for_as_long_as_was_said(world: World, accounts: Accounts, clock: Clock) -> None:
    browser = await world.signed_in()
    await browser.get("/me")
    clock.advance(EVERY - 1)
    await browser.get("/me")
    within = len(accounts.asked)
    clock.advance(1)
    await browser.get("/me")

    assert (within, len(accounts.asked)) == (1, 2)


async def test_a_change_that_the_session_makes_itself_puts_off_no_question(
    stored: World, accounts: Accounts, clock: Clock
) -> None:
    """Whoever writes all the time would never be asked about: an account that is closed would stay open."""
    browser = await stored.signed_in()
    await browser.get("/me")
    for _ in range(2):
        clock.advance(EVERY / 2)
        assert (await browser.post("/fields/color/red")).status == 200

    assert len(accounts.asked) == 2


async def test_with_an_interval_of_zero_every_request_asks(accounts: Accounts, clock: Clock) -> None:
    world = world_of(accounts, clock, MemoryStore(), revalidate_every=0)
    browser = await world.signed_in()
    for _ in range(3):
        await browser.get("/me")

    assert len(accounts.asked) == 3


async def test_each_session_is_asked_about_on_its_own(world: World, accounts: Accounts, clock: Clock) -> None:
    for user in ("ada", "grace"):
        await (await world.signed_in(user)).get("/me")

    assert [session.user_id for session in accounts.asked] == ["ada", "grace"]


async def test_of_more_sessions_than_it_remembers_those_asked_longest_ago_go(
    stored: World, accounts: Accounts, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever signs in again and again can't fill the memory, and nobody is believed longer than was said."""
    monkeypatch.setattr(revalidation, "_REMEMBERED", 2)
    ada, bob, carol = [await stored.signed_in(user) for user in ("ada", "bob", "carol")]
    await ada.get("/me")
    await bob.get("/me")
    clock.advance(EVERY)
    await ada.get("/me")  # asked about again, so that bob's is the older answer
    await carol.get("/me")
    accounts.asked.clear()
    for browser in (ada, carol):
        await browser.get("/me")
    assert accounts.asked == []

    await bob.get("/me")
    await ada.get("/me")
    assert [session.user_id for session in accounts.asked] == ["bob", "ada"]


async def test_nobody_is_not_asked_about(world: World, accounts: Accounts) -> None:
    await world.browser().get("/me")
    await world.browser("made up").get("/me")
    await (await world.signed_in()).get("/open")

    assert accounts.asked == []


async def test_a_sign_in_is_not_asked_about_in_its_own_request(world: World, accounts: Accounts) -> None:
    await world.signed_in()

    assert accounts.asked == []


# It changed


async def test_a_changed_session_is_what_the_request_sees_and_is_saved(world: World, accounts: Accounts) -> None:
    browser = await world.signed_in()
    accounts.answer = lambda session: session.model_copy(update={"email": "ada@example.com"})
    at_once = await browser.get("/me")
    accounts.answer = lambda session: session
    later = await browser.get("/me")

    assert at_once.body["email"] == later.body["email"] == "ada@example.com"


async def test_a_change_of_role_moves_the_session_to_a_new_id(stored: World, accounts: Accounts, clock: Clock) -> None:
    browser = await stored.signed_in()
    accounts.answer = promoted
    answer = await browser.get("/me")
    clock.advance(GRACE)

    assert answer.body["role"] == "admin"
    assert answer.token
    assert [await stored.opens(token) for token in browser.tokens] == [False, True]


async def test_a_role_that_the_hook_takes_away_is_gone_before_the_guard_decides(clock: Clock) -> None:
    async def demote(session: StackSession) -> StackSession:
        return session.model_copy(update={"role": None})

    kit = SessionKit(StackSession, secret_key=SECRET, backend=MemoryStore(), clock=clock, revalidate=demote)
    app = FastAPI()
    kit.install(app, guard=RouterGuard(protect=[Rule("/admin", role="admin")]))

    @app.post("/login")
    async def login(request: Request):
        kit.set_session(request, StackSession(user_id="ada", role="admin"))

    @app.get("/admin")
    async def admin():
        return "welcome"

    world = World(MemoryStore(), clock)
    world.kit, world.app = kit, app
    browser = world.browser()
    await browser.post("/login")

    assert (await browser.get("/admin")).status == 403


async def test_a_change_that_is_saved_holds_for_as_long_as_was_said(
    world: World, accounts: Accounts, clock: Clock
) -> None:
    """A hook that notes something each time, such as when it looked, is not asked by every request."""
    browser = await world.signed_in()
    accounts.answer = lambda session: session.model_copy(update={"looked": len(accounts.asked)})
    for _ in range(3):
        await browser.get("/me")
    within = len(accounts.asked)
    clock.advance(EVERY)
    await browser.get("/me")

    assert (within, len(accounts.asked)) == (1, 2)


async def test_what_the_request_changes_wins_over_what_the_hook_changed(stored: World, accounts: Accounts) -> None:
    browser = await stored.signed_in()
    accounts.answer = lambda session: session.model_copy(update={"color": "blue", "email": "ada@example.com"})
    await browser.post("/fields/color/red")
    accounts.answer = lambda session: session
    session = (await browser.get("/me")).body

    assert (session["color"], session["email"]) == ("red", "ada@example.com")


async def test_an_unseen_change_asks_too(stored: World, accounts: Accounts) -> None:
    browser = await stored.signed_in()
    accounts.answer = disabled
    answer = await browser.post("/unseen/color/red")
    await browser.get("/me")

    assert answer.status == 401
    assert await stored.kit.sessions.list("ada") == []


# It ended


async def test_a_disabled_account_is_nobody_at_once_and_its_cookie_is_removed(world: World, accounts: Accounts) -> None:
    browser = await world.signed_in()
    accounts.answer = disabled
    answer = await browser.get("/me")

    assert (answer.status, answer.token) == (401, "")


async def test_a_disabled_accounts_session_is_ended_in_the_store(stored: World, accounts: Accounts) -> None:
    browser = await stored.signed_in()
    accounts.answer = disabled
    await browser.get("/me")
    accounts.answer = lambda session: session

    assert await stored.kit.sessions.list("ada") == []
    assert [await stored.opens(token) for token in browser.tokens] == [False]


async def test_a_disabled_account_that_sends_its_old_cookie_again_is_nobody_again(
    world: World, accounts: Accounts
) -> None:
    """Replay: a signed cookie can't be called back, so removing it from the browser must not be all that happens."""
    browser = await world.signed_in()
    accounts.answer = disabled
    answers = [await world.browser(browser.token).get("/me") for _ in range(3)]

    assert [answer.status for answer in answers] == [401, 401, 401]


@pytest.mark.parametrize("path", ["/failing", "/maintenance"])
async def test_an_account_disabled_in_a_request_that_fails_is_nobody_in_the_next(
    world: World, accounts: Accounts, path: str
) -> None:
    """Nothing is saved on a response of 500, so the session is still there: then it is asked about again."""
    browser = await world.signed_in()
    token = browser.token
    accounts.answer = lambda session: None if path == "/maintenance" else promoted(session)
    try:
        await browser.get(path)
    except RuntimeError as error:
        assert str(error) == "a bug of the application"  # noqa: PT017 - the server is to get it
    accounts.answer = disabled

    assert (await world.browser(token).get("/me")).status == 401


async def test_an_account_disabled_while_the_store_fails_is_nobody_in_the_next(
    accounts: Accounts, clock: Clock
) -> None:
    class Failing(MemoryStore):
        broken = False

        async def replace(self, *args: Any, **options: Any) -> bool:
            if self.broken:
                raise OSError("the disk is full")
            return await super().replace(*args, **options)

        async def delete(self, key: str) -> bool:
            if self.broken:
                raise OSError("the disk is full")
            return await super().delete(key)

    store = Failing()
    world = world_of(accounts, clock, store)
    browser = await world.signed_in()
    accounts.answer, store.broken = disabled, True
    first = await browser.get("/me")
    store.broken = False

    assert first.status == 503
    assert (await browser.get("/me")).status == 401
    assert await world.kit.sessions.list("ada") == []


async def test_the_old_id_of_a_disabled_account_is_nobody_within_its_grace(stored: World, accounts: Accounts) -> None:
    browser = await stored.signed_in()
    old = stored.browser(browser.token)
    await browser.post("/rotate")
    accounts.answer = disabled
    await old.get("/me")
    accounts.answer = lambda session: session

    assert [await stored.opens(token) for token in browser.tokens] == [False, False]


async def test_parallel_requests_of_a_disabled_account_are_all_nobody(stored: World, accounts: Accounts) -> None:
    browser = await stored.signed_in()
    accounts.answer = disabled
    answers = await asyncio.gather(*(stored.browser(browser.token).get("/me") for _ in range(10)))

    assert {answer.status for answer in answers} == {401}
    assert await stored.kit.sessions.list("ada") == []


async def test_a_sign_in_in_the_same_request_stands(accounts: Accounts, stored: World) -> None:
    browser = await stored.signed_in()
    accounts.answer = lambda session: None if session.user_id == "ada" else session
    await browser.post("/login/grace")

    assert (await browser.get("/me")).body["user_id"] == "grace"


# It can't say


async def test_a_hook_that_raises_is_503_and_not_nobody(
    world: World, accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(session: StackSession) -> Answer:
        raise ConnectionError(f"no answer about {session.user_id} from hr.internal")

    caplog.set_level(logging.DEBUG)
    browser = await world.signed_in()
    accounts.answer = fail
    answer = await browser.get("/me")
    accounts.answer = lambda session: session

    assert (answer.status, answer.token) == (503, None)
    assert "revalidate hook raised ConnectionError" in caplog.text
    assert "ada" not in caplog.text
    assert (await browser.get("/me")).status == 200


async def test_a_hook_that_raised_is_asked_again_by_the_next_request(world: World, accounts: Accounts) -> None:
    def fail(session: StackSession) -> Answer:
        raise TimeoutError

    browser = await world.signed_in()
    accounts.answer = fail

    assert [(await browser.get("/me")).status for _ in range(3)] == [503, 503, 503]


async def test_a_request_that_does_not_ask_does_not_wait_for_the_hook(world: World, accounts: Accounts) -> None:
    def fail(session: StackSession) -> Answer:
        raise TimeoutError

    browser = await world.signed_in()
    accounts.answer = fail

    assert (await browser.get("/open")).status == 200


# Settings


@pytest.mark.parametrize("hook", [lambda session: session, "accounts.check", 7])
async def test_a_hook_that_is_no_async_function_is_refused(hook: Any) -> None:
    with pytest.raises(ConfigurationError, match="revalidate"):
        new_kit(revalidate=hook)


async def test_the_hook_may_be_an_async_function_or_an_object_like_one(clock: Clock) -> None:
    async def function(session: StackSession) -> Answer:
        return session

    for hook in (function, Accounts()):
        browser: Browser = await world_of(hook, clock, MemoryStore()).signed_in()

        assert (await browser.get("/me")).status == 200


@pytest.mark.parametrize("answer", [disabled, promoted], ids=["disabled", "changed"])
async def test_a_sign_in_while_the_hook_is_asked_about_another_session_stands(
    answer: Callable[[StackSession], Answer], world: World, accounts: Accounts
) -> None:
    @world.app.post("/instead")
    async def instead(request: Request) -> None:
        asking = asyncio.ensure_future(world.kit.get_session(request))
        while not accounts.asked:  # noqa: ASYNC110 - a few turns of the loop
            await asyncio.sleep(0)
        world.kit.set_session(request, StackSession(user_id="ada"))
        await asking

    browser = await world.signed_in("mallory")
    accounts.asked.clear()
    accounts.answer = answer

    assert (await browser.post("/instead")).status == 200
    accounts.answer = lambda session: session
    assert (await browser.get("/me")).body["user_id"] == "ada"


async def test_a_hook_whose_answer_nobody_waited_for_lets_no_change_through(world: World, accounts: Accounts) -> None:
    @world.app.post("/impatient")
    async def impatient(request: Request) -> None:
        asking = asyncio.ensure_future(world.kit.get_session(request))
        while not accounts.asked:  # noqa: ASYNC110 - a few turns of the loop
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        world.kit.update_session(request, n=7)

    browser = await world.signed_in("ada")
    accounts.asked.clear()
    accounts.answer = disabled

    assert (await browser.post("/impatient")).status == 401


async def test_a_clock_that_is_set_back_makes_the_hook_be_asked_again(
    world: World, accounts: Accounts, clock: Clock
) -> None:
    browser = await world.signed_in("ada")
    clock.advance(100)
    await browser.get("/me")
    accounts.asked.clear()
    clock.advance(-1)

    await browser.get("/me")
    assert len(accounts.asked) == 1
