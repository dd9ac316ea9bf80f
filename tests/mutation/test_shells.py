"""What one request does to ``vars(session)``, ``model_extra`` or a template's context, no other request sees."""

from collections.abc import Callable
from typing import Annotated, Any

import anyio
import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict

from fastapi_sessionkit import MemoryStore, Session, SessionBackend, SessionKit
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import COOKIE, SECRET, SITE, AppSession, client_of, new_kit

pytestmark = pytest.mark.anyio


class Fixed(BaseModel):
    """Frozen, with nothing in it that can change: requests share its values."""

    model_config = ConfigDict(frozen=True, extra="allow")

    user_id: str
    role: str | None = None


MODELS: list[type[BaseModel]] = [Session, AppSession, Fixed]
every_model = pytest.mark.parametrize("model", MODELS)

Change = Callable[[Any], Any]


def as_a_context(session: Any) -> None:
    """A template's context that is made from the session, as frameworks do it."""
    context = vars(session)
    context.setdefault("request", object())
    context["now"] = "today"


CHANGES: dict[str, Change] = {
    "a field in vars": lambda session: session.__dict__.update(role="admin"),
    "a field less in vars": lambda session: session.__dict__.pop("role"),
    "every field": lambda session: session.__dict__.clear(),
    "another name in vars": lambda session: session.__dict__.update(is_admin=True),
    "a template's context": as_a_context,
    "an extra": lambda session: session.model_extra.update(role2="admin", theme="light"),
    "no extras": lambda session: session.model_extra.clear(),
    "a method": lambda session: session.__dict__.update(has_role=lambda _: True),
    "the names that were set": lambda session: session.model_fields_set.clear(),
}
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def session_for(model: type[BaseModel]) -> Any:
    return model.model_validate({"user_id": "ada", "role": "user", "theme": "dark"})


def facts(session: Any) -> Any:
    return session.model_dump(), sorted(vars(session)), session.model_extra, sorted(session.model_fields_set)


class Site:
    """An application in which a request waits after it changed what it was given."""

    def __init__(self, model: type[BaseModel], backend: Any, change: Change, *, fails: bool) -> None:
        self.kit: SessionKit[Any] = SessionKit(model, secret_key=SECRET, backend=backend)
        self.app = FastAPI()
        self.kit.install(self.app)
        self.changed, self.may_end = anyio.Event(), anyio.Event()

        @self.app.get("/change")
        async def changing(request: Request) -> None:
            change(await self.kit.require_session(request))
            self.changed.set()
            await self.may_end.wait()
            if fails:
                raise HTTPException(500)

        @self.app.get("/")
        async def reading(request: Request) -> str:
            return repr(facts(await self.kit.require_session(request)))

        self.token = signed_in(client_of(self.app), self.kit, session_for(model)).cookies[COOKIE]

    async def get(self, path: str) -> Any:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=SITE, cookies={COOKIE: self.token}) as client:
            return await client.get(path)


@every_model
@every_change
async def test_a_request_at_the_same_time_sees_nothing_of_it(
    model: type[BaseModel], backend: SessionBackend, change: Change
) -> None:
    site = Site(model, backend, change, fails=True)
    before = (await site.get("/")).json()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(site.get, "/change")
        await site.changed.wait()
        during = (await site.get("/")).json()
        site.may_end.set()

    assert during == before


@every_model
@every_change
async def test_after_a_request_that_failed_nothing_is_left_of_it(
    model: type[BaseModel], backend: SessionBackend, change: Change
) -> None:
    site = Site(model, backend, change, fails=True)
    before = (await site.get("/")).json()
    site.may_end.set()
    for _ in range(2):
        assert (await site.get("/change")).status_code == 500

        assert (await site.get("/")).json() == before


@every_model
@pytest.mark.parametrize("change", ["another name in vars", "a template's context", "a method"])
async def test_what_is_no_field_is_not_saved_either(
    model: type[BaseModel], backend: SessionBackend, change: str
) -> None:
    site = Site(model, backend, CHANGES[change], fails=False)
    before = (await site.get("/")).json()
    site.may_end.set()
    answer = await site.get("/change")

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert (await site.get("/")).json() == before


@every_model
async def test_a_field_that_is_taken_out_of_vars_is_gone(model: type[BaseModel], backend: SessionBackend) -> None:
    site = Site(model, backend, CHANGES["a field less in vars"], fails=False)
    site.may_end.set()
    kept = await site.get("/change")
    site.token = kept.cookies.get(COOKIE, site.token)

    assert kept.status_code == 200
    assert "'role': None" in (await site.get("/")).json()


@every_model
async def test_without_a_field_that_it_needs_a_session_is_not_saved(
    model: type[BaseModel], backend: SessionBackend
) -> None:
    site = Site(model, backend, CHANGES["every field"], fails=False)
    before = (await site.get("/")).json()
    site.may_end.set()

    with pytest.raises(TypeError, match="user_id: missing"):
        await site.get("/change")
    assert (await site.get("/")).json() == before


@every_model
async def test_an_extra_changed_in_place_is_saved_and_leaks_into_no_other_session(
    model: type[BaseModel],
) -> None:
    site = Site(model, MemoryStore(), lambda session: session.model_extra.update(theme="light"), fails=False)
    other = signed_in(client_of(site.app), site.kit, session_for(model))
    site.may_end.set()
    await site.get("/change")

    assert "'theme': 'light'" in (await site.get("/")).json()
    assert session_of(other, site.kit) == session_for(model)


@pytest.mark.anyio
async def test_what_a_hook_does_to_the_session_it_is_asked_about_stays_with_it() -> None:
    async def revalidate(session: Session) -> Session:
        answer = session.model_copy()
        vars(session)["email"] = "leaked@example.com"
        return answer

    kit = new_kit(backend=MemoryStore(), revalidate=revalidate, revalidate_every=600)
    app = FastAPI()
    kit.install(app)

    @app.get("/email")
    async def email(session: Annotated[Session, Depends(kit.require_session)]) -> str | None:
        return session.email

    client = signed_in(client_of(app), kit, Session(user_id="ada", email="ada@example.com"))
    assert [client.get("/email").json() for _ in range(3)] == ["ada@example.com"] * 3
