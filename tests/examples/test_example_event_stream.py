"""``examples/event_stream.py``: a stream that ends with its session, on a server as it is."""

import time
from collections.abc import Iterator

import httpx
import pytest

from examples.event_stream import app, kit
from tests.examples.serving import PATIENCE, cookie_of, served


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with served(app) as host:
        yield host


def test_the_stream_tells_news_and_ends_when_one_signs_out(host: str) -> None:
    headers = cookie_of(host, "Ada")
    with httpx.stream("GET", f"http://{host}/news", headers=headers, timeout=PATIENCE) as news:
        lines = news.iter_lines()
        first = next(line for line in lines if line.startswith("data:"))
        httpx.post(f"http://{host}/logout", headers=headers)
        rest = list(lines)  # to its proper end: a connection that is cut off would raise

    assert first == "data: Ada, this is news number 1."
    assert len([line for line in rest if line.startswith("data:")]) <= 2
    assert httpx.get(f"http://{host}/news", headers=headers).status_code == 401


def test_the_stream_goes_on_when_somebody_else_signs_out(host: str) -> None:
    ada, bob = cookie_of(host, "Ada"), cookie_of(host, "Bob")
    with httpx.stream("GET", f"http://{host}/news", headers=ada, timeout=PATIENCE) as news:
        lines = news.iter_lines()
        next(line for line in lines if line.startswith("data:"))
        httpx.post(f"http://{host}/logout", headers=bob)

        assert any("number 3" in line for line in lines)


def test_nobody_hears_no_news(host: str) -> None:
    assert httpx.get(f"http://{host}/news").status_code == 401


def test_nothing_is_left_when_readers_have_gone(host: str) -> None:
    with httpx.stream("GET", f"http://{host}/news", headers=cookie_of(host, "Ada"), timeout=PATIENCE) as news:
        lines = news.iter_lines()
        next(lines)
        assert any(kit.services.looks.values())

    deadline = time.monotonic() + PATIENCE
    while any(kit.services.looks.values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_front_page_is_open(host: str) -> None:
    assert "new EventSource" in httpx.get(f"http://{host}/").text
