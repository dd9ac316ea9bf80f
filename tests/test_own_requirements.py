"""A requirement of one's own: what a subclass must say, and that nothing it leaves out lets anybody in."""

import logging
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import Depends, FastAPI

from fastapi_sessionkit import Access, Requirement, RouterGuard, Rule, Session, require, role
from fastapi_sessionkit.access import Subject
from fastapi_sessionkit.testing import signed_in
from tests.support import Clock, client_of, new_kit


@dataclass(frozen=True)
class Domain(Requirement):
    domain: str

    @property
    def name(self) -> str:
        return f"domain:{self.domain}"

    async def refusal(self, subject: Subject) -> str | None:
        if subject.session is None:
            return "nobody is signed in"
        return None if str(subject.session.email).endswith(f"@{self.domain}") else f"not at {self.domain}"


def statuses(requirement: Requirement, session: Session | None, **options: Any) -> list[int]:
    """What a rule and a dependency answer."""
    app, kit = FastAPI(), new_kit(**options)
    app.get("/rule")(lambda: None)
    app.get("/dependency", dependencies=[Depends(require(requirement))])(lambda: None)
    kit.install(app, guard=RouterGuard([Rule("/rule", requires=requirement)]))
    client = client_of(app)
    if session is not None:
        signed_in(client, kit, session)
    return [client.get(path).status_code for path in ("/rule", "/dependency")]


ADA = Session(user_id="ada", email="ada@example.com")
EVE = Session(user_id="eve", email="eve@evil.example", role="admin")


def test_it_is_enforced_by_rules_and_dependencies_alone_and_combined() -> None:
    at_home = Domain("example.com")

    assert statuses(at_home, ADA) == [200, 200]
    assert statuses(at_home, EVE) == [403, 403]
    assert statuses(at_home, None) == [401, 401]
    assert statuses(at_home | role("admin"), EVE) == [200, 200]
    assert statuses(at_home & role("admin"), EVE) == [403, 403]
    assert statuses(role("admin") & at_home, ADA) == [403, 403]
    assert statuses(at_home & Domain("example.org"), ADA) == [403, 403]
    assert statuses(Domain("example.org") | at_home, ADA) == [200, 200]


class WithoutRefusal(Requirement):
    name = "without"


class WithoutName(Requirement):
    async def refusal(self, subject: Subject) -> str | None:
        return None


@pytest.mark.parametrize("kind", [Requirement, WithoutRefusal, WithoutName])
def test_what_says_no_name_or_no_refusal_can_not_be_made(kind: type[Requirement]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind()


class Inheriting(Requirement):
    name = "inheriting"

    async def refusal(self, subject: Subject) -> str | None:
        return await super().refusal(subject)  # type: ignore[safe-super]


class Raising(Requirement):
    name = "raising"

    async def refusal(self, subject: Subject) -> str | None:
        raise KeyError(subject.session.email)


class Agreeing(Requirement):
    """Takes ``refusal`` for a check that says yes."""

    name = "agreeing"

    async def refusal(self, subject: Subject) -> Any:
        return True


class Disagreeing(Requirement):
    name = "disagreeing"

    async def refusal(self, subject: Subject) -> Any:
        return False


class Forgetful(Requirement):
    name = "forgetful"

    async def refusal(self, subject: Subject) -> Any:
        return Domain("example.com").refusal(subject)


@pytest.mark.parametrize("kind", [Inheriting, Raising, Agreeing, Disagreeing, Forgetful])
def test_attack_a_refusal_that_gives_no_reason_and_no_none_lets_nobody_in(
    kind: type[Requirement], caplog: pytest.LogCaptureFixture
) -> None:
    assert statuses(kind(), ADA) == [403, 403]

    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert all(message.startswith(f"{kind().name} ") and "so it denies" in message for message in errors)
    assert "ada@example.com" not in caplog.text


def test_a_refusal_may_be_sync() -> None:
    class Sync(Requirement):
        name = "sync"

        def refusal(self, subject: Subject) -> Any:
            return None if subject.session == ADA else "not Ada"

    assert statuses(Sync(), ADA) == [200, 200]
    assert statuses(Sync(), EVE) == [403, 403]


def test_an_empty_reason_is_a_refusal() -> None:
    class Terse(Requirement):
        name = "terse"

        async def refusal(self, subject: Subject) -> str | None:
            return ""

    with pytest.raises(StopIteration) as done:
        RouterGuard([Rule("/rule", requires=Terse())]).decide("GET", "/rule", ADA).send(None)
    assert done.value.value.reason == ""
    assert statuses(Terse(), ADA) == [403, 403]
    assert statuses(Terse() | Terse(), ADA) == [403, 403]


def test_it_sees_the_hooks_and_the_age_of_the_sign_in(clock: Clock) -> None:
    seen: list[Subject] = []

    class Looking(Requirement):
        name = "looking"

        async def refusal(self, subject: Subject) -> str | None:
            seen.append(subject)
            return None

    access = Access(get_roles=lambda _: [])

    assert statuses(Looking(), ADA, access=access, clock=clock) == [200, 200]
    assert [(subject.session, subject.access, subject.age) for subject in seen] == [(ADA, access, 0.0)] * 2
