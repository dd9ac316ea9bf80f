"""How old a sign-in may be, and that one from the future is none."""

import math

import pytest

from fastapi_sessionkit import RouterGuard, Rule, Session


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("age", "allowed"),
    [(0, True), (60, True), (60.1, False), (-10, True), (-10.1, False), (-3_600, False), (-math.inf, False), (math.nan, False)],
)  # fmt: skip
async def test_attack_a_sign_in_from_the_future_is_not_fresh(age: float, allowed: bool) -> None:
    """Servers' clocks differ by seconds; one that was ahead by an hour must not make a sign-in fresh for an hour."""
    guard = RouterGuard([Rule("/a", fresh=60)])

    assert (await guard.decide("GET", "/a", Session(user_id="ada"), age=age)).allowed is allowed


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("age", "reason"),
    [(61, "more than 60 seconds ago"), (-60, "still to come"), (None, "nobody can say when")],
)
async def test_a_sign_in_that_is_not_fresh_is_refused_with_the_reason(age: float | None, reason: str) -> None:
    decision = await RouterGuard([Rule("/a", fresh=60)]).decide("GET", "/a", Session(user_id="ada"), age=age)

    assert reason in decision.reason
