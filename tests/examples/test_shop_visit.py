"""``examples/shop``: sign in, shop, publish, sign out."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from examples.shop.people import PEOPLE
from examples.shop.sessions import Basket, ShopSession, baskets, kit, session_for
from examples.shop.stock import Shop
from fastapi_sessionkit.testing import session_of, signed_in
from tests.examples.conftest import Visit

CLEO = {"username": "cleo", "password": "radish"}


@pytest.mark.parametrize("username", ["cleo", " Cleo "])
def test_signing_in_leads_to_the_dashboard(stranger: TestClient, username: str) -> None:
    response = stranger.post("/login", data={**CLEO, "username": username})

    assert (response.status_code, response.headers["location"]) == (303, "/dashboard")
    assert "Hello, Cleo" in stranger.get("/dashboard").text


def test_signing_in_leads_on_to_where_one_wanted_to_go(stranger: TestClient) -> None:
    login = stranger.get("/editor").headers["location"]

    response = stranger.post(login, data={"username": "emil", "password": "trellis"})

    assert response.headers["location"] == "/editor"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_an_open_redirect_through_next_ends_on_the_dashboard(stranger: TestClient, elsewhere: str) -> None:
    response = stranger.post("/login", params={"next": elsewhere}, data=CLEO)

    assert response.headers["location"] == "/dashboard"


@pytest.mark.parametrize(
    "form", [{**CLEO, "password": "turnip"}, {"username": "nobody", "password": "radish"}, {"username": "cleo"}, {}]
)
def test_a_wrong_name_or_password_shows_the_form_again(stranger: TestClient, form: dict[str, str]) -> None:
    response = stranger.post("/login", data=form)

    assert response.status_code == 422
    assert "belong together" in response.text
    assert "set-cookie" not in response.headers


def test_the_form_remembers_the_name_and_escapes_it(stranger: TestClient) -> None:
    page = stranger.post("/login", data={"username": '"><script>', "password": "x"}).text

    assert 'value="&#34;&gt;&lt;script&gt;"' in page


def test_somebody_signed_in_is_led_from_the_login_page_to_the_dashboard(cleo: TestClient) -> None:
    assert cleo.get("/login").headers["location"] == "/dashboard"


@pytest.mark.parametrize(
    ("form", "lifetime"), [(CLEO, timedelta(hours=8)), ({**CLEO, "remember": "on"}, timedelta(days=30))]
)
def test_who_wants_to_be_remembered_stays_signed_in_longer(
    stranger: TestClient, form: dict[str, str], lifetime: timedelta
) -> None:
    stranger.post("/login", data=form)

    assert lifetime - timedelta(minutes=1) < time_left(stranger) <= lifetime


def time_left(browser: TestClient) -> timedelta:
    times = re.findall(r'<time datetime="([^"]+)"', browser.get("/dashboard").text)
    return datetime.fromisoformat(times[2]) - datetime.now(UTC)


@pytest.mark.parametrize(("remember", "lifetime"), [(None, timedelta(hours=8)), ("on", timedelta(days=30))])
def test_a_sign_in_by_one_click_respects_the_wish_to_be_remembered(
    stranger: TestClient, remember: str | None, lifetime: timedelta
) -> None:
    """What a browser sends: every field of the form that the button belongs to, and the button's own value."""
    form = {"username": "", "password": "", "one_click": one_click(stranger, "Cleo")}

    answer = stranger.post("/login?next=/account/devices", data=form | ({"remember": remember} if remember else {}))

    assert answer.headers["location"] == "/account/devices"
    assert lifetime - timedelta(minutes=1) < time_left(stranger) <= lifetime


def one_click(browser: TestClient, name: str) -> str:
    """The value of the button that signs that person in."""
    found = re.search(
        rf'form="sign-in" formnovalidate name="one_click" value="(.+)">Sign in as {name}<', page_of(browser)
    )
    assert found is not None
    return found[1]


def page_of(browser: TestClient) -> str:
    return browser.get("/login").text


def test_there_is_one_form_and_one_wish_for_every_way_in(stranger: TestClient) -> None:
    page = page_of(stranger)

    assert page.count("<form") == page.count('name="remember"') == 1
    assert page.count('form="sign-in"') == 3


@pytest.mark.parametrize("value", ["cleo", "cleo:turnip", ":", "nobody:radish", "cleo:radish:"])
def test_a_made_up_button_signs_nobody_in(stranger: TestClient, value: str) -> None:
    answer = stranger.post("/login", data={"one_click": value})

    assert answer.status_code == 422
    assert "set-cookie" not in answer.headers


def test_the_form_remembers_the_wish_to_be_remembered(stranger: TestClient) -> None:
    wish = 'name="remember" type="checkbox" checked'

    assert wish in stranger.post("/login", data={**CLEO, "password": "turnip", "remember": "on"}).text
    assert wish not in stranger.post("/login", data={**CLEO, "password": "turnip"}).text


def test_the_dashboard_shows_the_typed_session(emil: TestClient) -> None:
    page = emil.get("/dashboard").text

    for shown in ("emil@example.com", "editor", "journal:publish", "settings:write", "premium"):
        assert shown in page


@pytest.mark.parametrize("field", ShopSession.model_fields)
def test_the_dashboard_shows_every_field_of_the_session(emil: TestClient, field: str) -> None:
    assert f"<dt>{field}</dt>" in emil.get("/dashboard").text


def test_the_dashboard_shows_further_roles(stranger: TestClient) -> None:
    session = session_for(PEOPLE["emil"]).model_copy(update={"roles": ("beekeeper", "pruner")})

    page = signed_in(stranger, kit, session).get("/dashboard").text

    assert "<code>beekeeper</code> <code>pruner</code>" in page


@pytest.mark.parametrize(("username", "offered"), [("cleo", True), ("emil", True), ("ada", False)])
def test_only_where_a_door_is_locked_one_may_try_it(visit: Visit, username: str, *, offered: bool) -> None:
    assert ("Try a locked one" in visit(username).get("/dashboard").text) == offered


def test_the_upgrade_opens_the_almanac(cleo: TestClient) -> None:
    assert cleo.get("/almanac").status_code == 403

    assert cleo.post("/upgrade").headers["location"] == "/almanac"
    assert cleo.get("/almanac").status_code == 200


def test_a_packet_put_into_the_basket_twice_is_counted(cleo: TestClient) -> None:
    for slug in ("pea", "pea", "poppy"):
        assert cleo.post(f"/basket/{slug}").headers["location"] == f"/#{slug}"

    assert session_of(cleo, baskets) == Basket(packets={"pea": 2, "poppy": 1})
    assert "2 in your basket" in cleo.get("/").text


def test_the_basket_is_filled_before_signing_in_and_ordered_afterwards(stranger: TestClient, shop: Shop) -> None:
    assert stranger.get("/").headers.get("set-cookie") is None
    stranger.post("/basket/pea")
    assert "1 in your basket" in stranger.get("/").text
    assert stranger.get("/dashboard").headers["location"] == "/login?next=/dashboard"

    stranger.post("/login", data=CLEO)
    assert "Purple Podded" in stranger.get("/dashboard").text
    stranger.post("/order")

    assert [order.packets for order in shop.orders] == [{"pea": 1}]
    assert session_of(stranger, baskets) == Basket()


def test_whoever_comes_next_finds_an_empty_basket(cleo: TestClient) -> None:
    cleo.post("/basket/pea")
    cleo.post("/logout")

    assert session_of(cleo, baskets) is None


def test_nobody_orders_without_signing_in(stranger: TestClient, shop: Shop) -> None:
    stranger.post("/basket/pea")

    assert stranger.post("/order").headers["location"] == "/login"
    assert shop.orders == []


@pytest.mark.parametrize(("wish", "kept"), [({}, False), ({"remember": "on"}, True)])
def test_only_who_wishes_to_stays_signed_in_when_the_browser_is_closed(
    stranger: TestClient, wish: dict[str, str], kept: bool
) -> None:
    cookie = stranger.post("/login", data=CLEO | wish).headers["set-cookie"]

    assert ("Max-Age" in cookie) == kept


def test_what_is_not_sold_can_not_be_put_into_the_basket(cleo: TestClient) -> None:
    assert cleo.post("/basket/gold").status_code == 404


def test_an_order_empties_the_basket_and_the_shelf(cleo: TestClient, shop: Shop) -> None:
    before = shop.products["pea"].packets
    cleo.post("/basket/pea")

    cleo.post("/order")

    page = cleo.get("/dashboard").text
    assert "1 \N{MULTIPLICATION SIGN} Purple Podded" in page
    assert "Nothing in it yet" in page
    assert shop.products["pea"].packets == before - 1


def test_an_empty_basket_is_no_order(cleo: TestClient, shop: Shop) -> None:
    cleo.post("/order")

    assert shop.orders == []


def test_the_admin_sees_everybodys_orders(cleo: TestClient, ada: TestClient) -> None:
    cleo.post("/basket/beet")
    cleo.post("/order")

    for path in ("/admin", "/admin/orders"):
        assert "1 \N{MULTIPLICATION SIGN} Chioggia" in ada.get(path).text


def test_a_published_piece_stands_on_the_front_page(emil: TestClient, stranger: TestClient) -> None:
    assert "Nine kinds of rain" not in stranger.get("/").text

    emil.post("/editor/rain/publish")
    assert "Nine kinds of rain" in stranger.get("/").text

    emil.post("/editor/rain/publish")
    assert "Nine kinds of rain" not in stranger.get("/").text


def test_a_piece_that_nobody_wrote_is_not_published(emil: TestClient) -> None:
    assert emil.post("/editor/nothing/publish").status_code == 404


def test_the_notice_stands_on_the_front_page_as_text(emil: TestClient, stranger: TestClient) -> None:
    assert "Saved" in emil.post("/settings", data={"notice": "<b>Closed</b> today"}).text

    assert "&lt;b&gt;Closed&lt;/b&gt; today" in stranger.get("/").text


def test_an_empty_notice_is_not_shown(emil: TestClient, stranger: TestClient) -> None:
    emil.post("/settings", data={"notice": "  "})

    assert 'class="notice"' not in stranger.get("/").text


@pytest.mark.parametrize("username", ["cleo", "emil", "ada"])
def test_signing_out_closes_every_door_again(visit: Visit, username: str) -> None:
    browser = visit(username)

    assert browser.post("/logout").headers["location"] == "/"
    assert browser.get("/dashboard").status_code == 302
    assert session_of(browser, kit) is None
