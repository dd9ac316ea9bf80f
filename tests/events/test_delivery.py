"""Handlers: told in order, after the fact, and unable to break or delay a request."""

import asyncio
import logging
import threading
import time
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from fastapi.testclient import TestClient

from fastapi_sessionkit import SessionKit
from fastapi_sessionkit._request import lines
from fastapi_sessionkit.events import SessionEvent
from tests.events.support import eventful_application
from tests.support import SITE, AppSession, RecordingStore, app_kit, client_of

LINES = "fastapi_sessionkit._request.lines"


@pytest.fixture
def kit() -> SessionKit[AppSession]:
    return app_kit(backend=RecordingStore())


def browser(kit: SessionKit[AppSession]) -> TestClient:
    return client_of(eventful_application(kit))


def test_a_plain_handler_runs_in_a_thread_and_an_async_one_on_the_loop(kit: SessionKit[AppSession]) -> None:
    threads: list[str] = []

    @kit.on("signed_in")
    def plain(event: SessionEvent) -> None:
        threads.append(threading.current_thread().name)

    @kit.on("signed_in")
    async def asynchronous(event: SessionEvent) -> None:
        await asyncio.sleep(0)
        threads.append(threading.current_thread().name)

    with browser(kit) as client:
        client.post("/in")

    assert len(set(threads)) == 2
    assert [name for name in threads if "plain" in name]


@pytest.mark.parametrize("entered", [True, False])
def test_once_a_test_has_its_answer_handlers_have_been_told(kit: SessionKit[AppSession], entered: bool) -> None:
    events: list[str] = []
    kit.on("signed_in")(lambda event: events.append("plain"))

    @kit.on("signed_in")
    async def asynchronous(event: SessionEvent) -> None:
        await asyncio.sleep(0.01)
        events.append("async")

    client = browser(kit)
    if entered:
        with client:
            client.post("/in")
    else:
        client.post("/in")

    assert sorted(events) == ["async", "plain"]


def test_events_come_in_order(kit: SessionKit[AppSession]) -> None:
    plain: list[str] = []
    kit.on("signed_in", "rotated", "updated", "signed_out")(lambda event: plain.append(event.name))
    client = browser(kit)
    for path in ("/in", "/promote", "/note", "/out"):
        client.post(path)

    assert plain == ["signed_in", "rotated", "updated", "updated", "signed_out"]


def test_when_a_handler_is_told_the_change_is_saved(kit: SessionKit[AppSession]) -> None:
    seen: list[int] = []

    @kit.on("signed_in")
    async def count(event: SessionEvent) -> None:
        assert event.user_id is not None
        seen.append(len(await kit.sessions.list(event.user_id)))

    browser(kit).post("/in")

    assert seen == [1]


def test_a_handler_that_raises_breaks_nothing_and_is_logged_without_its_text(
    kit: SessionKit[AppSession], caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    @kit.on("signed_in", "signed_out")
    def raises(event: SessionEvent) -> None:
        told.append(event.name)
        raise KeyError("a value")

    @kit.on("signed_in", "signed_out")
    async def raises_too(event: SessionEvent) -> None:
        told.append(event.name)
        raise KeyError("a value")

    client = browser(kit)
    assert client.post("/in").status_code == 200
    assert client.post("/out").status_code == 200
    assert sorted(told) == ["signed_in"] * 2 + ["signed_out"] * 2
    assert len([record for record in caplog.records if "raised: KeyError in" in record.message]) == 4
    assert "a value" not in caplog.text


def test_a_plain_handler_that_hangs_delays_nobody_and_loses_its_own_events(
    kit: SessionKit[AppSession], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go = threading.Event()
    others: list[SessionEvent] = []
    kit.on("signed_in")(others.append)
    monkeypatch.setattr(lines, "MOST", 2)
    kit.on("signed_in")(lambda event: go.wait(30))
    client = browser(kit)
    before = time.monotonic()
    for _ in range(5):
        assert client.post("/in").status_code == 200
    took = time.monotonic() - before
    go.set()

    assert took < 5
    assert len(others) == 5
    assert caplog.text.count("what comes now is dropped") == 1


def test_an_async_handler_that_hangs_is_stopped_and_told_of_the_next_event(
    kit: SessionKit[AppSession], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lines, "PATIENCE", 0.02)
    told: list[str] = []

    @kit.on("signed_in", "signed_out")
    async def hangs(event: SessionEvent) -> None:
        told.append(event.name)
        await asyncio.sleep(30)

    client = browser(kit)
    client.post("/in")
    client.post("/out")

    assert told == ["signed_in", "signed_out"]
    assert caplog.text.count("took more than 0.02 seconds: stopped") == 2


def test_an_async_handler_that_hangs_delays_no_request(
    kit: SessionKit[AppSession], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lines, "MOST", 2)

    @kit.on("signed_in")
    async def hangs(event: SessionEvent) -> None:
        await asyncio.sleep(30)

    async def visit() -> float:
        before = time.monotonic()
        transport = httpx.ASGITransport(eventful_application(kit))
        async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
            for _ in range(5):
                assert (await client.post("/in")).status_code == 200
        return time.monotonic() - before

    assert asyncio.run(visit()) < 5
    assert "what comes now is dropped" in caplog.text


def test_attack_who_keeps_a_handler_busy_keeps_no_other_request(kit: SessionKit[AppSession]) -> None:
    @kit.on("denied")
    async def hangs(event: SessionEvent) -> None:
        await asyncio.sleep(4)

    def seconds_of_thirty(client: TestClient) -> float:
        before = time.monotonic()
        for _ in range(30):
            client.get("/nowhere")
        return time.monotonic() - before

    with browser(kit) as client:
        undisturbed = seconds_of_thirty(client)
        client.get("/admin/page")

        assert seconds_of_thirty(client) < undisturbed + 2  # each would have waited a tenth of a second


def test_a_request_that_waits_for_a_handler_looks_at_it_less_and_less_often(
    kit: SessionKit[AppSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    is_idle = vars(lines.TaskLine)["is_idle"].fget

    def counted(line: lines.TaskLine) -> bool:
        looks.append(is_idle(line))
        return looks[-1]

    @kit.on("signed_in")
    async def hangs(event: SessionEvent) -> None:
        await asyncio.sleep(4)

    client = browser(kit)
    monkeypatch.setattr(lines.TaskLine, "is_idle", property(counted))
    client.post("/in")

    assert 1 <= len(looks) < 20  # in a tenth of a second


def test_the_answer_is_sent_before_anybody_waits_for_handlers(kit: SessionKit[AppSession]) -> None:
    order: list[str] = []

    @kit.on("signed_in")
    async def slow(event: SessionEvent) -> None:
        await asyncio.sleep(0.02)
        order.append("told")

    app = eventful_application(kit)

    async def call() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            order.append(message["type"])

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "https",
            "path": "/in", "raw_path": b"/in", "query_string": b"", "root_path": "", "headers": [(b"host", b"testserver")],
            "client": ("127.0.0.1", 1), "server": ("testserver", 443),
        }  # fmt: skip
        await app(scope, receive, send)

    asyncio.run(call())

    assert order == ["http.response.start", "http.response.body", "told"]


def test_a_plain_function_that_gives_a_coroutine_is_reported(
    kit: SessionKit[AppSession], caplog: pytest.LogCaptureFixture
) -> None:
    async def asynchronous(event: SessionEvent) -> None: ...

    kit.on("signed_in")(lambda event: asynchronous(event))  # noqa: PLW0108
    browser(kit).post("/in")

    assert "is no async function: make it one" in caplog.text


def test_at_shutdown_handlers_are_told_what_is_left(kit: SessionKit[AppSession]) -> None:
    told: list[str] = []

    @kit.on("signed_in")
    async def slow(event: SessionEvent) -> None:
        await asyncio.sleep(0.3)
        told.append(event.name)

    with browser(kit) as client:
        client.post("/in")
        assert told == []

    assert told == ["signed_in"]


def test_on_trio_async_handlers_are_told_before_the_request_ends(kit: SessionKit[AppSession]) -> None:
    pytest.importorskip("trio")
    told: list[str] = []

    @kit.on("signed_in")
    async def handler(event: SessionEvent) -> None:
        await anyio.lowlevel.checkpoint()
        told.append(event.name)

    client = client_of(eventful_application(kit), backend="trio")
    client.post("/in")

    assert told == ["signed_in"]


def test_handlers_are_told_from_several_loops_one_after_the_other(kit: SessionKit[AppSession]) -> None:
    told: list[str] = []

    @kit.on("signed_in", "signed_out")
    async def handler(event: SessionEvent) -> None:
        await asyncio.sleep(0)
        told.append(event.name)

    app = eventful_application(kit)
    first, second = client_of(app), client_of(app)
    first.post("/in")
    second.post("/in")
    first.post("/out")

    assert told == ["signed_in", "signed_in", "signed_out"]


def test_a_log_line_can_say_everything(kit: SessionKit[AppSession], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "security")
    kit.on("signed_in")(lambda event: logging.getLogger("security").info("%s %s", event.name, event.user_id))
    browser(kit).post("/in")

    assert [record.message for record in caplog.records if record.name == "security"] == ["signed_in ada"]
