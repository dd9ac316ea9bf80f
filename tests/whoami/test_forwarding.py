"""What is forwarded to the service, and what never is."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_sessionkit.forwarded import LIMIT, Credentials
from tests.whoami.support import COOKIE, HEADER, SIGNED_IN, Service, site_of

pytestmark = pytest.mark.anyio
OWN = {"host", "accept", "accept-encoding", "user-agent"}
"""The headers of a request that every service gets."""


async def test_cookies_and_headers_that_are_not_named_are_never_forwarded(service: Service) -> None:
    async with site_of(service) as site:
        await site.send_raw(
            "GET",
            "/me?next=secret",
            [
                ("Cookie", f"a=1; {COOKIE}=ada; {COOKIE}2=2; theme=dark"),
                ("Cookie", "b=2"),
                ("Authorization", "Bearer secret"),
                ("X-Forwarded-For", "10.0.0.1"),
                ("X-Session-Token-2", "secret"),
                ("Referer", "https://testserver/secret"),
                ("User-Agent", "a browser"),
            ],
        )

    (asked,) = service.asked
    assert asked.keys() == OWN | {"cookie"}
    assert asked["cookie"] == f"{COOKIE}=ada"
    assert asked["user-agent"] == "fastapi-sessionkit"


async def test_all_that_is_named_is_forwarded_together(service: Service) -> None:
    async with site_of(service, cookies=["_oauth2_proxy_0", "_oauth2_proxy_1"], headers=["X-One", "X-Two"]) as site:
        headers = [("X-Two", "2"), ("X-One", "1"), ("Cookie", "_oauth2_proxy_1=b; x=y; _oauth2_proxy_0=a")]
        await site.send_raw("GET", "/me", headers)

    (asked,) = service.asked
    assert asked["cookie"] == "_oauth2_proxy_0=a; _oauth2_proxy_1=b"
    assert (asked["x-one"], asked["x-two"]) == ("1", "2")


async def test_two_people_with_one_cookie_and_different_headers_are_two(service: Service) -> None:
    async with site_of(service) as site:
        await site.get(X_Session_Token="one")
        await site.get(X_Session_Token="two")

    assert len(service.asked) == 2


async def test_cookies_that_the_service_sets_reach_no_browser_and_no_question(service: Service) -> None:
    service.headers = [(b"set-cookie", f"{COOKIE}=planted; Path=/".encode())]
    async with site_of(service) as site:
        first = await site.get(cookie="ada")
        await site.get(cookie=None, X_Session_Token="token-of-ada")

    assert "set-cookie" not in first.headers
    assert "cookie" not in service.asked[1]


@pytest.mark.parametrize("scheme", ["Basic", "basic", "Digest", "Negotiate", "NTLM"])
async def test_authorization_that_browsers_send_by_themselves_is_not_forwarded(service: Service, scheme: str) -> None:
    async with site_of(service, headers=["Authorization"]) as site:
        assert (await site.get(cookie=None, Authorization=f"{scheme} YWRhOnNlY3JldA==")).status_code == 401
        await site.get(cookie="ada", Authorization=f"{scheme} YWRhOnNlY3JldA==")

    (asked,) = service.asked
    assert "authorization" not in asked


async def test_a_bearer_token_is_forwarded(service: Service) -> None:
    service.people["Bearer ada"] = SIGNED_IN
    async with site_of(service, headers=["Authorization"]) as site:
        assert (await site.get(cookie=None, Authorization="Bearer ada")).status_code == 200


# Attacks


@pytest.mark.parametrize(
    "value",
    [b"ada\r\nX-User: root", b"ada\nX-User: root", b"ada\rX: y", b"a\x00b", b"a\x7fb", b"a\tb", "ä".encode(), b"\xff"],
)
@pytest.mark.parametrize("name", ["Cookie", HEADER])
async def test_a_value_that_could_begin_another_header_is_not_forwarded(
    service: Service, name: str, value: bytes
) -> None:
    async with site_of(service) as site:
        raw = f"{COOKIE}=".encode() + value if name == "Cookie" else value
        response = await site.send_raw("GET", "/me", [(name.encode(), raw)])

    assert response.status_code == 401
    assert service.asked == []


async def test_a_value_that_is_too_long_is_not_forwarded(service: Service) -> None:
    async with site_of(service) as site:
        assert (await site.get(cookie="x" * (LIMIT + 1))).status_code == 401
        assert (await site.get(cookie=None, X_Session_Token="x" * 20_000)).status_code == 431

    assert service.asked == []


@pytest.mark.parametrize("name", ["X_One", "X_Session_Token"])
async def test_a_long_header_is_refused_where_several_are_named(service: Service, name: str) -> None:
    async with site_of(service, headers=["X-One", HEADER]) as site:
        assert (await site.get(cookie=None, **{name: "x" * 20_000})).status_code == 431


async def test_a_header_that_came_twice_is_nobodys(service: Service) -> None:
    async with site_of(service) as site:
        response = await site.send_raw("GET", "/me", [(HEADER, "token-of-ada"), (HEADER, "token-of-mallory")])

    assert response.status_code == 401
    assert service.asked == []


@pytest.mark.parametrize(
    ("cookies", "status"),
    [("ada mallory", 200), ("mallory ada", 200), ("ada ada", 200), ("ada grace", 401), ("mallory oscar", 401)],
)
async def test_of_several_cookies_the_one_that_the_service_knows_counts(
    service: Service, cookies: str, status: int
) -> None:
    service.people[f"{COOKIE}=grace"] = SIGNED_IN
    async with site_of(service) as site:
        header = "; ".join(f"{COOKIE}={value}" for value in cookies.split())
        assert (await site.send_raw("GET", "/me", [("Cookie", header)])).status_code == status


async def test_a_flood_of_cookies_is_nobodys_and_asks_nothing(service: Service) -> None:
    async with site_of(service) as site:
        header = "; ".join(f"{COOKIE}={number}" for number in range(500))
        assert (await site.send_raw("GET", "/me", [("Cookie", header)])).status_code == 401

    assert service.asked == []


CREDENTIALS = Credentials(["one", "two"], ["X-One", "Authorization"])
LINES = st.sampled_from([b"0", b"1", b"2", b"3", b"4", b"-1", b":", b"\n", b"\r", b"; x=y", b"abc", b"\xb2", b" "])


@pytest.mark.parametrize(
    "token", [b"0:a; admin=1", b"0:a\r\nX: y", b"4:a", b"-1:a", b"0:", b"one:a", b"0:a\n\n1:b", b"", "²:a".encode()]
)
def test_a_token_that_no_transport_made_forwards_nothing(token: bytes) -> None:
    assert CREDENTIALS.to_forward(token) is None


@given(st.one_of(st.binary(max_size=60), st.lists(LINES, max_size=10).map(b"".join)))
def test_whatever_a_token_says_only_named_headers_are_forwarded(token: bytes) -> None:
    for name, value in CREDENTIALS.to_forward(token) or ():
        assert name in {b"cookie", b"x-one", b"authorization"}
        assert not set(value) & {0, 10, 13}
        if name == b"cookie":
            assert {pair.partition(b"=")[0] for pair in value.split(b"; ")} <= {b"one", b"two"}


@given(
    st.lists(
        st.tuples(st.sampled_from([b"cookie", b"x-one", b"authorization", b"other"]), st.binary(max_size=30)),
        max_size=5,
    ),
    st.booleans(),
)
def test_whatever_a_request_has_reading_it_gives_what_can_be_forwarded(headers: Any, with_cookies: bool) -> None:
    for token in CREDENTIALS.tokens({"headers": headers}, with_cookies=with_cookies):
        assert token == b"" or CREDENTIALS.to_forward(token)


def test_no_http_client_is_loaded_and_a_missing_extra_says_what_to_do() -> None:
    program = """if True:
        import json, sys
        import fastapi_sessionkit.whoami as whoami
        loaded = [name for name in ("httpx", "httpcore") if name in sys.modules]
        sys.modules["httpx"] = None
        try:
            whoami.WhoamiBackend("https://x/whoami", session=dict, cookies=["a"])
        except whoami.ConfigurationError as error:
            print(json.dumps([loaded, str(error)]))
    """
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    loaded, error = json.loads(said)

    assert loaded == []
    assert "pip install 'fastapi-sessionkit[http]'" in error
