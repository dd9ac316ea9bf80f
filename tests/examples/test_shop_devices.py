"""``examples/shop``: "Your devices": what it lists, what its buttons end, and what they never end."""

import re

import pytest
from fastapi.testclient import TestClient

from examples.shop.app import app
from examples.shop.devices import UNKNOWN, device_of
from examples.shop.pages.devices import kept_here
from examples.shop.sessions import kit
from tests.examples.conftest import Visit

PAGE = "/account/devices"
CLEO = {"username": "cleo", "password": "radish"}
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.0 Mobile/15E148 Safari/604.1"
)
DEVICES = {
    WINDOWS: "Firefox on Windows",
    IPHONE: "Safari on an iPhone",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36": "Chrome on Linux",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36": "Chrome on Android",
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 Edg/142.0": "Edge on Windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15": "Safari on a Mac",
    "Firefox/1.0": "Firefox",
    "curl/8.14.1": UNKNOWN,
    "": UNKNOWN,
    "<script>alert(1)</script>" * 500: UNKNOWN,
}


@pytest.fixture(autouse=True)
def _nobody_else(cleo: TestClient) -> None:
    """Sessions of earlier tests are over."""
    cleo.post("/login", data=CLEO)
    cleo.post(f"{PAGE}/end-others")
    cleo.post("/logout")


@pytest.fixture
def laptop(visit: Visit) -> TestClient:
    return at_the_door(visit, WINDOWS)


@pytest.fixture
def phone(visit: Visit) -> TestClient:
    return at_the_door(visit, IPHONE)


def at_the_door(visit: Visit, user_agent: str) -> TestClient:
    browser = visit("")
    browser.post("/login", data=CLEO, headers={"user-agent": user_agent})
    return browser


def cards(browser: TestClient) -> list[str]:
    """What the page says of each device, the one signed in last first."""
    return browser.get(PAGE).text.split('<li class="card">')[1:]


def handle_of(browser: TestClient, device: str) -> str:
    """That of the session which the page offers to end."""
    card = next(card for card in cards(browser) if device in card)
    found = re.search(r'name="handle" value="([^"]+)"', card)
    assert found is not None
    return found[1]


def is_signed_in(browser: TestClient) -> bool:
    return browser.get("/dashboard").status_code == 200


@pytest.mark.parametrize("user_agent", DEVICES)
def test_a_device_is_called_by_words_of_the_shops_own(user_agent: str) -> None:
    assert device_of(user_agent) == DEVICES[user_agent]


def test_every_device_is_listed_with_what_it_is_and_which_one_this_is(laptop: TestClient, phone: TestClient) -> None:
    own, other = cards(phone)

    assert "Safari on an iPhone" in own
    assert "this device" in own
    assert "Firefox on Windows" in other
    assert "this device" not in other
    assert own.count("<time ") == other.count("<time ") == 2


def test_ones_own_device_offers_to_sign_out_and_the_others_to_end(laptop: TestClient, phone: TestClient) -> None:
    own, other = cards(phone)

    assert 'action="/logout"' in own
    assert f'action="{PAGE}/end"' in other


def sign_of(card: str) -> str:
    found = re.search(r"<code>([0-9a-f]{6})</code>", card)
    assert found is not None
    return found[1]


def test_two_devices_of_one_name_can_be_told_apart(visit: Visit) -> None:
    """Each shows on its own page which of the two it is, and the button of each says which it ends."""
    first, second = at_the_door(visit, WINDOWS), at_the_door(visit, WINDOWS)

    own, other = cards(second)
    others_own = next(card for card in cards(first) if "this device" in card)

    assert sign_of(own) != sign_of(other) == sign_of(others_own)
    assert f'End<span class="unseen"> Firefox on Windows {sign_of(other)}</span>' in other


def test_ending_a_session_signs_that_device_out_and_no_other(
    visit: Visit, laptop: TestClient, phone: TestClient
) -> None:
    tablet = at_the_door(visit, "Firefox/1.0")

    answer = tablet.post(f"{PAGE}/end", data={"handle": handle_of(tablet, "Firefox on Windows")})

    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    assert [is_signed_in(browser) for browser in (laptop, phone, tablet)] == [False, True, True]


def test_ending_all_others_leaves_this_one(laptop: TestClient, phone: TestClient) -> None:
    answer = phone.post(f"{PAGE}/end-others")

    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    assert [is_signed_in(browser) for browser in (laptop, phone)] == [False, True]
    assert "End all others" not in phone.get(PAGE).text


def test_a_single_device_has_no_others_to_end(laptop: TestClient) -> None:
    assert "End all others" not in laptop.get(PAGE).text


def test_nobody_else_is_signed_out_by_ending_all_others(laptop: TestClient, emil: TestClient) -> None:
    laptop.post(f"{PAGE}/end-others")

    assert is_signed_in(emil)


def test_insecure_direct_object_reference_by_a_foreign_handle_ends_nothing(
    laptop: TestClient, phone: TestClient, emil: TestClient
) -> None:
    cleos = handle_of(phone, "Firefox on Windows")

    answer = emil.post(f"{PAGE}/end", data={"handle": cleos})

    assert answer.status_code == 303
    assert is_signed_in(laptop)


def test_csrf_ends_nothing(laptop: TestClient, phone: TestClient) -> None:
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}

    assert phone.post(f"{PAGE}/end-others", headers=elsewhere).status_code == 403
    assert is_signed_in(laptop)


def test_a_link_ends_nothing(laptop: TestClient, phone: TestClient) -> None:
    assert phone.get(f"{PAGE}/end-others").status_code == 405
    assert is_signed_in(laptop)


def test_ending_ones_own_session_leads_to_the_way_in(laptop: TestClient, phone: TestClient) -> None:
    laptops = handle_of(phone, "Firefox on Windows")

    answer = laptop.post(f"{PAGE}/end", data={"handle": laptops})

    assert laptop.get(answer.headers["location"]).headers["location"] == f"/login?next={PAGE}"


@pytest.mark.parametrize("handle", ["0" * 64, "no handle", "x" * 64])
def test_a_handle_that_leads_nowhere_shows_the_list_again(laptop: TestClient, handle: str) -> None:
    answer = laptop.post(f"{PAGE}/end", data={"handle": handle})

    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)


def test_a_handle_opens_nothing_as_a_cookie(visit: Visit, laptop: TestClient, phone: TestClient) -> None:
    laptops = handle_of(phone, "Firefox on Windows")
    thief = visit("")

    thief.cookies.set(kit.cookie_name, laptops)

    assert not is_signed_in(thief)


def test_with_cookies_the_page_says_why_it_can_not_list_them(laptop: TestClient) -> None:
    app.dependency_overrides[kept_here] = lambda: False

    page = laptop.get(PAGE)

    assert page.status_code == 200
    assert "SHOP_STORE=cookie" in page.text
    assert "<button" not in page.text.partition("<main")[2]


@pytest.mark.parametrize("change", ["end", "end-others"])
def test_with_cookies_its_posts_end_nothing_and_say_so(laptop: TestClient, change: str) -> None:
    app.dependency_overrides[kept_here] = lambda: False

    answer = laptop.post(f"{PAGE}/{change}", data={"handle": "0" * 64})

    assert answer.status_code == 409
