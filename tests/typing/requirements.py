"""Checked by mypy and pyright, never run: requirements, rules, access hooks and backends."""

from collections.abc import Mapping
from datetime import timedelta
from typing import assert_type

from fastapi import Depends

from fastapi_sessionkit import (
    Access,
    CookieBackend,
    Decision,
    MemoryStore,
    Requirement,
    RouterGuard,
    Rule,
    Session,
    SessionBackend,
    SessionInfo,
    SessionKit,
    SessionStore,
    StoreBackend,
    any_permission,
    custom,
    fresh,
    owner,
    permission,
    role,
    signed_in,
)


def is_ada(session: Session | None) -> bool:
    return session is not None and session.user_id == "ada"


async def is_ada_later(session: Session | None) -> bool:
    return is_ada(session)


def owns_draft(session: Session | None, segments: Mapping[str, str]) -> bool:
    return is_ada(session) and segments["draft"] == "42"


async def owns_draft_later(session: Session | None, segments: Mapping[str, str]) -> bool:
    return owns_draft(session, segments)


def of_three(session: Session | None, segments: Mapping[str, str], more: int) -> bool:
    return owns_draft(session, segments)


assert_type(owner("user_id") | owner("team", field="teams"), Requirement)
assert_type(custom(owns_draft) & custom(owns_draft_later), Requirement)
custom(of_three)  # type: ignore[arg-type]
Rule("/{draft}", allow=of_three)  # type: ignore[arg-type]
Rule("/{draft}", allow=owns_draft, requires=custom(lambda session, segments: bool(segments["draft"])))
Rule("/{draft}", allow=lambda session, segments: session is not None and segments["draft"] == session.user_id)
assert_type(role("editor") & permission("reports:write") | role("admin"), Requirement)
assert_type(signed_in, Requirement)
assert_type(any_permission("a", "b"), Requirement)
assert_type(fresh(minutes=10), Requirement)
assert_type(fresh(timedelta(minutes=10)), Requirement)
assert_type(custom(is_ada), Requirement)
assert_type(custom(is_ada_later, name="is Ada"), Requirement)
assert_type(role("admin").name, str)

Rule("/a", roles=["user", "admin"], permissions=("a", "b"), allow=is_ada_later, fresh=60, methods=["POST"])
Rule("/a", requires="role:admin")  # type: ignore[arg-type]
Rule("/a", role=["admin"])  # type: ignore[arg-type]
role("a") & "b"  # type: ignore[operator]
Depends(signed_in)  # type: ignore[arg-type]
assert_type(Rule("/a").matches("/a"), bool)


async def decide(guard: RouterGuard, session: Session | None) -> None:
    decision = await guard.decide("GET", "/", session)
    assert_type(decision, Decision)
    assert_type(decision.allowed, bool)
    assert_type(decision.rule, Rule | None)
    assert_type(decision.reason, str)


async def get_roles(session: Session) -> list[str]:
    return list(session.all_roles)


Access(get_roles=get_roles, get_permissions=lambda session: session.permissions, check=lambda rule, session: True)

backend: SessionBackend = CookieBackend(encrypt=True)
store: SessionStore = MemoryStore()
other: SessionBackend = StoreBackend(store)
StoreBackend(backend)  # type: ignore[arg-type]
SessionKit(backend=store)
SessionKit(backend=backend, idle_timeout=timedelta(days=1), absolute_timeout=60, secret_key=["new", "old"])
SessionKit(backend="cookie")  # type: ignore[arg-type]


def clocks(info: SessionInfo) -> None:
    assert_type(info.expires_at - info.created_at, timedelta)
