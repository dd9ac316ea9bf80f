"""Sign-in, change, rotation, sign-out, revocation and time in any order, against a model of a few lines."""

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fastapi_sessionkit import SessionStore
from tests.stack.application import ABSOLUTE, GRACE, IDLE, Answer, Browser, World
from tests.stack.conftest import Make
from tests.support import Clock

USERS = ("ada", "grace")
EXAMPLES = {"memory": 200, "sqlite": 50, "postgres": 40, "redis": 50, "cluster": 30}


@dataclass(eq=False)
class Known:
    """A session as the model has it."""

    user: str
    created: float
    seen: float
    ttl: float
    data: dict[str, Any]
    ended: bool = False

    def lives(self, now: float) -> bool:
        return not self.ended and now < min(self.seen + self.ttl, self.created + ABSOLUTE)

    def used(self, now: float) -> None:
        self.seen = max(self.seen, now)

    def touched(self, now: float) -> None:
        if (now - self.seen) * 10 >= self.ttl:
            self.used(now)


@dataclass
class Token:
    """One cookie's value: whose session; once it was rotated away, until when, and which role it had until then."""

    session: Known
    until: float | None = None
    role: str | None = None
    forgotten: bool = False

    def seen(self) -> dict[str, Any]:
        """What it shows of the session: no role that came after it was rotated away."""
        data = self.session.data
        return data if self.until is None or self.role == data["role"] else {**data, "role": None}

    def opens(self, now: float) -> bool:
        return not self.forgotten and self.session.lives(now) and (self.until is None or now < self.until)


@dataclass
class Model:
    tokens: dict[str, Token] = field(default_factory=dict)

    def opened_by(self, token: str | None, now: float) -> Known | None:
        known = self.tokens.get(token or "")
        return known.session if known is not None and known.opens(now) else None

    def end(self, token: str | None, now: float) -> None:
        session = self.opened_by(token, now)
        if session is not None:
            session.ended = True

    def of(self, user: str, now: float) -> list[Known]:
        found = {id(token.session): token.session for token in self.tokens.values()}
        return [session for session in found.values() if session.user == user and session.lives(now)]


browsers = st.integers(0, 2)
users = st.sampled_from(USERS)
fields = st.sampled_from(["color", "size", "note"])
values = st.sampled_from(["red", "", "ü", "x" * 200])


class SessionMachine(RuleBasedStateMachine):
    """Three browsers, two users, one store. Ids are this run's own, so that a store may serve many runs."""

    def __init__(self, store: SessionStore, clock: Clock, runner: asyncio.Runner) -> None:
        super().__init__()
        self.clock, self.runner = clock, runner
        self.world = World(store, clock)
        self.prefix = secrets.token_hex(4)
        self.model = Model()
        self.browsers: list[Browser] = []

    @initialize()
    def three_browsers(self) -> None:
        self.browsers = [self.world.browser() for _ in range(3)]

    def send(self, browser: Browser, method: str, path: str) -> Answer:
        return self.runner.run(browser.send(method, path))

    def user(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def held(self, number: int) -> tuple[Browser, Token | None, Known | None]:
        browser = self.browsers[number]
        return browser, self.model.tokens.get(browser.token or ""), self.model.opened_by(browser.token, self.clock())

    @rule(number=browsers, name=users, ttl=st.sampled_from([None, 60.0, 2 * IDLE]))
    def sign_in(self, number: int, name: str, ttl: float | None) -> None:
        browser, now = self.browsers[number], self.clock()
        self.model.end(browser.token, now)
        answer = self.send(browser, "POST", f"/login/{self.user(name)}" + ("" if ttl is None else f"?ttl={ttl}"))
        assert answer.status == 200
        assert answer.token
        assert answer.token not in self.model.tokens
        known = Known(self.user(name), now, now, IDLE if ttl is None else ttl, {"n": 0, "role": None})
        self.model.tokens[answer.token] = Token(known)

    @rule(number=browsers, name=fields, value=values, unseen=st.booleans())
    def change(self, number: int, name: str, value: str, unseen: bool) -> None:
        where = "unseen" if unseen else "fields"
        self._changed(number, f"/{where}/{name}/{value or '-'}", {name: value or "-"})

    @rule(number=browsers)
    def count(self, number: int) -> None:
        session = self.held(number)[2]
        self._changed(number, "/raise", {} if session is None else {"n": session.data["n"] + 1})

    def _changed(self, number: int, path: str, data: dict[str, Any]) -> None:
        browser, _, session = self.held(number)
        answer = self.send(browser, "POST", path)
        assert answer.token is None
        assert answer.status == (401 if session is None else 200)
        if session is not None:
            session.data.update(data)
            session.used(self.clock())

    @rule(number=browsers, role=st.sampled_from(["admin", "user"]))
    def change_role(self, number: int, role: str) -> None:
        session = self.held(number)[2]
        moves = session is not None and session.data["role"] != role
        self._moved(number, f"/role/{role}", {"role": role}, moves=moves)

    @rule(number=browsers)
    def rotate(self, number: int) -> None:
        self._moved(number, "/rotate", {}, moves=True)

    def _moved(self, number: int, path: str, data: dict[str, Any], *, moves: bool) -> None:
        browser, token, session = self.held(number)
        answer = self.send(browser, "POST", path)
        assert answer.status == (401 if session is None else 200)
        if session is None or token is None:
            assert answer.token is None
            return
        role = session.data["role"]
        session.data.update(data)
        session.used(self.clock())
        if moves and token.until is None:
            assert answer.token
            assert answer.token not in self.model.tokens
            token.until, token.role = self.clock() + GRACE, role
            self.model.tokens[answer.token] = Token(session)
        else:
            assert answer.token is None

    @rule(number=browsers)
    def read(self, number: int) -> None:
        browser, token, session = self.held(number)
        answer = self.send(browser, "GET", "/me")
        assert answer.status == (401 if session is None else 200)
        assert answer.token is None
        if session is not None and token is not None:
            assert answer.body.items() >= {**token.seen(), "user_id": session.user}.items()
            if token.until is None:
                session.touched(self.clock())

    @rule(number=browsers)
    def sign_out(self, number: int) -> None:
        browser = self.browsers[number]
        self.model.end(browser.token, self.clock())
        removed = None if browser.token is None else ""  # what did not come is not removed
        answer = self.send(browser, "POST", "/logout")
        assert (answer.status, answer.token) == (200, removed)
        assert browser.token is None

    @rule(data=st.data(), number=browsers)
    def take_an_old_cookie(self, data: st.DataObject, number: int) -> None:
        """As a second tab, or a thief, may hold it."""
        if self.model.tokens:
            self.browsers[number].token = data.draw(st.sampled_from(sorted(self.model.tokens, key=self._age)))

    def _age(self, token: str) -> int:
        return list(self.model.tokens).index(token)

    @rule(name=users, place=st.integers(0, 3), owner=users)
    def revoke(self, name: str, place: int, owner: str) -> None:
        listed = self.runner.run(self.world.kit.sessions.list(self.user(name)))
        if place < len(listed):
            active = listed[place]
            done = self.runner.run(self.world.kit.sessions.revoke(active.handle, user_id=self.user(owner)))
            assert done is (owner == name)
            if done:
                left = {each.handle for each in self.runner.run(self.world.kit.sessions.list(self.user(name)))}
                assert active.handle not in left
                self._one_ended(self.user(name))

    def _one_ended(self, user: str) -> None:
        """A handle says nothing about the token, so ask which session is gone."""
        now = self.clock()
        alive = self.model.of(user, now)
        gone = [session for session in alive if not self._answers(session)]
        assert len(gone) == 1
        gone[0].ended = True

    def _answers(self, session: Known) -> bool:
        newest = [text for text, token in self.model.tokens.items() if token.session is session and token.until is None]
        answer = self.runner.run(self.world.browser(newest[0]).get("/me"))
        if answer.status == 200:
            session.touched(self.clock())
        return answer.status == 200

    @rule(name=users, number=browsers, keep=st.booleans())
    def revoke_user(self, name: str, number: int, keep: bool) -> None:
        browser, _, session = self.held(number)
        now, kept = self.clock(), None
        alive = self.model.of(self.user(name), now)
        if keep and session is not None and session.user == self.user(name):
            kept = session
            answer = self.send(browser, "POST", "/others/end")
            ended = answer.body
            if self.model.tokens[browser.token or ""].until is None:
                session.touched(now)
        else:
            ended = self.runner.run(self.world.kit.sessions.revoke_user(self.user(name)))
        assert ended == len(alive) - (kept is not None)
        for each in alive:
            each.ended = each is not kept
        for token in self.model.tokens.values():
            # The ids that the kept session had before go at once, grace or not.
            token.forgotten = token.forgotten or (token.session is kept and token.until is not None)

    @rule(name=users, email=st.sampled_from(["a@example.com", "b@example.com"]))
    def administer(self, name: str, email: str) -> None:
        alive = self.model.of(self.user(name), self.clock())
        assert self.runner.run(self.world.kit.sessions.update_user(self.user(name), email=email)) == len(alive)
        for session in alive:
            session.data["email"] = email

    @rule(seconds=st.sampled_from([0.25, 1.0, GRACE - 0.25, GRACE, 50.0, 60.0, IDLE / 2, IDLE, ABSOLUTE / 2]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def purge(self) -> None:
        assert self.runner.run(self.world.kit.sessions.purge()) >= 0

    @precondition(lambda self: self.browsers)
    @rule()
    def restart(self) -> None:
        self.runner.run(self.world.kit.backend.aclose())

    @invariant()
    def what_is_listed_is_what_lives(self) -> None:
        for name in USERS:
            listed = self.runner.run(self.world.kit.sessions.list(self.user(name)))
            alive = self.model.of(self.user(name), self.clock())
            assert sorted(active.created_at.timestamp() for active in listed) == sorted(each.created for each in alive)
            assert sorted(active.session.n for active in listed) == sorted(each.data["n"] for each in alive)

    def teardown(self) -> None:
        """At the end every token that ever was opens what the model says, and nothing else."""
        for text, token in self.model.tokens.items():
            answer = self.runner.run(self.world.browser(text).get("/me"))
            assert (answer.status == 200) is token.opens(self.clock())
            if token.opens(self.clock()):
                assert answer.body["user_id"] == token.session.user
                if token.until is None:
                    token.session.touched(self.clock())
        for name in USERS:
            self.runner.run(self.world.kit.sessions.revoke_user(self.user(name)))


def test_every_store_does_what_the_model_says(engine: str, make_store: Make, clock: Clock) -> None:
    with asyncio.Runner() as runner:
        store = make_store(engine)
        run_state_machine_as_test(
            lambda: SessionMachine(store, clock, runner),  # type: ignore[arg-type]
            settings=settings(max_examples=EXAMPLES[engine], stateful_step_count=30, database=None),
        )
        runner.run(store.aclose())
