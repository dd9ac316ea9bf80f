"""When the service is asked, what its answers mean, and what happens when it gives none."""

import asyncio
import gc
import gzip
import json
import logging
import socket
import time
import warnings
from collections.abc import Sequence
from functools import partial

import pytest

from fastapi_sessionkit import StoreUnavailable
from tests.support import Clock, app_kit, client_of
from tests.whoami.support import COOKIE, SIGNED_IN, Service, application, new_backend, site_of

pytestmark = pytest.mark.anyio


async def test_who_the_service_knows_is_signed_in(service: Service) -> None:
    async with site_of(service) as site:
        response = await site.get()

    assert response.json()["user_id"] == "ada"
    assert "set-cookie" not in response.headers


async def test_a_header_signs_in_as_a_cookie_does(service: Service) -> None:
    async with site_of(service) as site:
        response = await site.get(cookie=None, X_Session_Token="token-of-ada")

    assert response.json()["user_id"] == "ada"


@pytest.mark.parametrize("status", [401, 403])
async def test_who_the_service_refuses_is_nobody(service: Service, status: int) -> None:
    service.refusal = status
    async with site_of(service) as site:
        assert (await site.get(cookie="mallory")).status_code == 401


async def test_an_answer_that_the_application_takes_for_nobody_is_nobody(service: Service) -> None:
    service.people[f"{COOKIE}=ada"] = {**SIGNED_IN, "active": False}
    async with site_of(service) as site:
        assert (await site.get()).status_code == 401


async def test_the_service_is_not_asked_where_nothing_came_to_forward(service: Service) -> None:
    async with site_of(service) as site:
        assert (await site.get(cookie=None)).status_code == 401
        assert (await site.get(cookie="", Cookie="other=1")).status_code == 401
    assert service.asked == []


async def test_the_service_is_not_asked_where_nobody_asks_for_the_session(service: Service) -> None:
    service.status = 500
    async with site_of(service) as site:
        assert (await site.get("/open")).status_code == 200
    assert service.asked == []


# Once for many


async def test_two_hundred_requests_at_once_for_one_cookie_ask_once(service: Service) -> None:
    service.delay = 0.2
    async with site_of(service) as site:
        responses = await asyncio.gather(*(site.get() for _ in range(200)))

    assert {response.status_code for response in responses} == {200}
    assert len(service.asked) == 1


async def test_two_hundred_requests_at_once_in_an_outage_ask_once(service: Service) -> None:
    service.delay, service.status = 0.2, 500
    async with site_of(service) as site:
        responses = await asyncio.gather(*(site.get() for _ in range(200)))

    assert {response.status_code for response in responses} == {503}
    assert len(service.asked) == 1


async def test_requests_of_two_people_at_once_get_their_own_answers(service: Service) -> None:
    service.people[f"{COOKIE}=grace"] = {"active": True, "identity": {"id": "grace", "role": "admin"}}
    service.delay = 0.1
    async with site_of(service) as site:
        ada, grace = await asyncio.gather(site.get(cookie="ada"), site.get(cookie="grace"))

    assert [ada.json()["user_id"], grace.json()["user_id"]] == ["ada", "grace"]


async def test_who_leaves_does_not_take_the_answer_from_those_who_wait(service: Service) -> None:
    service.delay = 0.3
    async with site_of(service) as site:
        first = asyncio.ensure_future(site.get())
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(site.get())
        await asyncio.sleep(0.05)
        first.cancel()
        response = await second

    assert response.status_code == 200
    assert len(service.asked) == 1


# Remembered, and for how long


async def test_an_answer_is_remembered_and_no_longer_than_said(service: Service, clock: Clock) -> None:
    async with site_of(service, clock=clock, remember=30) as site:
        await site.get()
        clock.advance(29)
        await site.get()
        assert len(service.asked) == 1

        clock.advance(2)
        await site.get()
        assert len(service.asked) == 2


async def test_a_changed_answer_is_seen_once_the_old_one_is_over(service: Service, clock: Clock) -> None:
    async with site_of(service, clock=clock, remember=30) as site:
        assert (await site.get("/admin/page")).status_code == 403
        service.people[f"{COOKIE}=ada"] = {"active": True, "identity": {"id": "ada", "role": "admin"}}
        clock.advance(31)
        assert (await site.get("/admin/page")).status_code == 200

        service.people.clear()
        clock.advance(31)
        assert (await site.get("/admin/page")).status_code == 401


async def test_nobody_is_remembered_more_briefly_than_somebody(service: Service, clock: Clock) -> None:
    async with site_of(service, clock=clock, remember=30, remember_nobody=5) as site:
        assert (await site.get(cookie="new")).status_code == 401
        service.people[f"{COOKIE}=new"] = SIGNED_IN
        clock.advance(4)
        assert (await site.get(cookie="new")).status_code == 401

        clock.advance(2)
        assert (await site.get(cookie="new")).status_code == 200


async def test_by_default_nobody_is_remembered_more_briefly(service: Service, clock: Clock) -> None:
    async with site_of(service, clock=clock) as site:
        await site.get(cookie="ada")
        await site.get(cookie="new")
        clock.advance(3)
        await site.get(cookie="ada")
        await site.get(cookie="new")

    assert [asked["cookie"] for asked in service.asked] == [f"{COOKIE}={who}" for who in ("ada", "new", "new")]


async def test_nothing_is_remembered_where_that_is_wanted(service: Service) -> None:
    async with site_of(service, remember=0, remember_nobody=0) as site:
        assert [(await site.get()).status_code for _ in range(3)] == [200] * 3

    assert len(service.asked) == 3


async def test_a_clock_that_is_set_back_prolongs_no_answer(service: Service, clock: Clock) -> None:
    async with site_of(service, clock=clock) as site:
        await site.get()
        service.people.clear()
        clock.advance(-3600)

        assert (await site.get()).status_code == 401


async def test_an_outage_is_not_remembered(service: Service) -> None:
    async with site_of(service) as site:
        service.status = 500
        assert (await site.get()).status_code == 503
        service.status = None

        assert (await site.get()).status_code == 200


async def test_the_memory_is_bounded_and_made_up_cookies_displace_nobody(service: Service) -> None:
    async with site_of(service, max_remembered=10) as site:
        await site.get(cookie="ada")
        for number in range(50):
            await site.get(cookie=f"made-up-{number}")
        service.asked.clear()
        for remembered in ("ada", *(f"made-up-{number}" for number in range(40, 50))):
            await site.get(cookie=remembered)
        assert service.asked == []
        await site.get(cookie="made-up-39")

    assert len(service.asked) == 1


async def test_of_many_people_those_who_came_last_are_remembered(service: Service) -> None:
    people = [f"person-{number}" for number in range(20)]
    service.people |= {f"{COOKIE}={person}": SIGNED_IN for person in people}
    async with site_of(service, max_remembered=10) as site:
        for person in people:
            await site.get(cookie=person)
        service.asked.clear()
        for person in people[10:]:
            await site.get(cookie=person)
        assert service.asked == []
        await site.get(cookie=people[0])

    assert len(service.asked) == 1


# What says nothing


@pytest.mark.parametrize("status", [201, 202, 204, 302, 307, 400, 404, 418, 429, 500, 503])
async def test_any_other_status_is_503_and_never_nobody(service: Service, status: int) -> None:
    service.status = status
    service.body = []
    async with site_of(service) as site:
        assert (await site.get()).status_code == 503


async def test_an_outage_is_503(clock: Clock) -> None:
    with socket.socket() as taken:  # bound and not listening: every connection is refused
        taken.bind(("127.0.0.1", 0))
        service = Service()
        service.url = f"http://127.0.0.1:{taken.getsockname()[1]}/whoami"
        async with site_of(service) as site:
            response = await site.get()

    assert response.status_code == 503
    assert response.headers["cache-control"] == "no-store"


async def test_redirects_are_not_followed(service: Service) -> None:
    service.status = 302
    service.headers = [(b"location", service.url.encode() + b"/again")]
    async with site_of(service) as site:
        assert (await site.get()).status_code == 503

    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param([], id="empty"),
        pytest.param([b"<html>"], id="a page"),
        pytest.param([b"\xff\xfe"], id="no text"),
        pytest.param([b"[" * 50_000], id="too deep"),
        pytest.param([b'{"active": true}'], id="another answer"),
        pytest.param([b"null"], id="null"),
        pytest.param([b'{"active": true, "identity": {"id": 7, "role": "user"}}'], id="no session"),
        pytest.param(
            [b'{"active": true, "identity": {"id": "a\\u0000", "role": "user"}}'], id="a user that no store takes"
        ),
    ],
)
async def test_an_answer_that_says_nothing_is_503(service: Service, body: Sequence[bytes]) -> None:
    service.body = body
    async with site_of(service) as site:
        assert (await site.get()).status_code == 503


async def test_a_function_that_gives_another_model_is_503_and_said(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async with site_of(service, session=lambda answer: {"user_id": "ada"}) as site:
        assert (await site.get()).status_code == 503

    assert "takes a AppSession, the model of this SessionKit, not a dict" in caplog.text


async def test_an_answer_that_never_ends_is_503(service: Service) -> None:
    service.body = [json.dumps(SIGNED_IN).encode(), *[b" " * 10_000] * 20]
    async with site_of(service) as site:
        assert (await site.get()).status_code == 503


async def test_a_compressed_answer_is_503(service: Service) -> None:
    service.body = [gzip.compress(json.dumps(SIGNED_IN).encode())]
    service.headers = [(b"content-encoding", b"gzip")]
    async with site_of(service) as site:
        assert (await site.get()).status_code == 503


# How long it may take


async def test_a_slow_service_is_503_in_time(service: Service) -> None:
    service.delay = 5
    async with site_of(service, timeout=0.3) as site:
        began = time.monotonic()
        response = await site.get()

    assert response.status_code == 503
    assert time.monotonic() - began < 3


async def test_a_service_that_dribbles_is_503_in_time(service: Service) -> None:
    service.delay, service.body = 0.2, [b" "] * 100
    async with site_of(service, timeout=0.5) as site:
        began = time.monotonic()
        response = await site.get()

    assert response.status_code == 503
    assert time.monotonic() - began < 3


async def test_many_people_who_wait_for_a_slow_service_are_answered_in_time(service: Service) -> None:
    service.delay = 5
    async with site_of(service, timeout=0.5) as site:
        began = time.monotonic()
        responses = await asyncio.gather(*(site.get(cookie=f"person-{number}") for number in range(150)))

    assert {response.status_code for response in responses} == {503}
    assert time.monotonic() - began < 5


# What is told to whom


async def test_no_credential_is_in_logs_or_errors(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with site_of(service) as site:
        await site.get(cookie="a-secret-cookie", X_Session_Token="a-secret-token")
        service.status = 500
        response = await site.get(cookie="a-secret-too")
        shown = f"{site.backend!r} {site.kit.services.transports!r} {site.backend.__dict__!r}"

    assert response.status_code == 503
    assert "did not say who somebody is: it answered 500" in caplog.text
    assert "a-secret" not in caplog.text + response.text + shown


async def test_what_failed_is_the_cause_of_the_error() -> None:
    backend = new_backend("http://127.0.0.1:1/whoami")
    app_kit(backend=backend)
    with pytest.raises(StoreUnavailable) as raised:
        await backend.load(b"0:ada")
    await backend.aclose()

    assert type(raised.value.__cause__).__name__ == "ConnectError"


async def test_a_loop_that_ends_closes_its_connections(service: Service) -> None:
    """As the loops of a ``TestClient`` do that is not entered: one for each request."""
    app = application(app_kit(backend=new_backend(service.url, remember=0, remember_nobody=0)))
    get = partial(client_of(app).get, "/me", headers={"Cookie": f"{COOKIE}=ada"})
    with warnings.catch_warnings(record=True, action="always") as warned:
        assert [(await asyncio.to_thread(get)).status_code for _ in range(3)] == [200] * 3
        gc.collect()

    assert [str(each.message) for each in warned] == []


async def test_after_closing_the_next_request_connects_again(service: Service) -> None:
    async with site_of(service) as site:
        await site.get()
        await site.backend.aclose()

        assert (await site.get(cookie=None, X_Session_Token="token-of-ada")).status_code == 200
