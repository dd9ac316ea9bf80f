"""The shop as a person uses it: refused, signed in, upgraded, signed out, and nothing private left behind."""

import re

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

from playwright.sync_api import Page, Response, expect

PADLOCK = ".authorization__btn"
STRANGERS_PAGES = ["/", "/login"]
CLEOS_PAGES = ["/", "/dashboard", "/account/devices", "/admin", "/almanac", "/nowhere"]
ADAS_PAGES = ["/almanac", "/editor", "/settings", "/admin", "/admin/orders"]


def sign_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.get_by_role("button", name=f"Sign in as {name}").click()
    page.wait_for_url("**/dashboard")


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_a_refused_visitor_signs_in_and_lands_where_they_wanted_to_go(page: Page) -> None:
    page.goto("/editor")
    expect(page).to_have_url(re.compile(r"/login\?next=/editor$"))

    page.get_by_label("Name", exact=True).fill("emil")
    page.get_by_label("Password", exact=True).fill("trellis")
    page.get_by_role("button", name="Sign in", exact=True).click()

    expect(page).to_have_url(re.compile(r"/editor$"))
    heading(page, "The editor’s desk")


def test_a_wrong_password_is_said_and_the_way_is_kept(page: Page) -> None:
    page.goto("/editor")
    page.get_by_label("Name", exact=True).fill("emil")
    page.get_by_label("Password", exact=True).fill("turnip")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_contain_text("belong together")
    expect(page.get_by_label("Name", exact=True)).to_have_value("emil")

    page.get_by_label("Password", exact=True).fill("trellis")
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/editor$"))


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("Cleo", ["Seeds", "Almanac", "API"]),
        ("Emil", ["Seeds", "Almanac", "Editor’s desk", "Settings", "API"]),
        ("Ada", ["Seeds", "Almanac", "Editor’s desk", "Settings", "Admin", "API"]),
    ],
)
def test_everybody_sees_the_pages_of_their_role_and_no_others(page: Page, name: str, places: list[str]) -> None:
    sign_in(page, name)

    links = page.get_by_role("navigation").get_by_role("link")

    expect(links).to_have_text([re.compile(f"^{place}") for place in places])


@pytest.mark.parametrize("path", ["/admin", "/editor", "/settings"])
def test_a_customer_finds_the_other_gates_locked(page: Page, path: str) -> None:
    sign_in(page, "Cleo")

    answer = page.goto(path)

    assert isinstance(answer, Response)
    assert answer.status == 403
    heading(page, "This gate is locked.")


def test_the_upgrade_opens_the_almanac(page: Page) -> None:
    sign_in(page, "Cleo")
    page.get_by_role("navigation").get_by_role("link", name="Almanac").click()
    heading(page, "This gate is locked.")

    page.get_by_role("button", name="Join the Almanac").click()

    heading(page, "The Almanac")
    page.get_by_role("link", name="Cleo").click()
    expect(page.get_by_text("Almanac member")).to_be_visible()


def test_what_is_put_into_the_basket_is_there_on_every_page(page: Page) -> None:
    sign_in(page, "Cleo")
    page.goto("/")

    for _ in range(2):
        page.get_by_role("button", name="Add to basket Chioggia").click()
        page.wait_for_url("**/#beet")

    expect(page.get_by_text("2 in your basket")).to_be_visible()
    page.goto("/dashboard")
    expect(page.get_by_text("2 \N{MULTIPLICATION SIGN} Chioggia")).to_be_visible()


@pytest.mark.parametrize("again", [False, True], ids=["after signing in", "after a visit"])
def test_the_back_button_shows_nothing_private_after_signing_out(page: Page, *, again: bool) -> None:
    """Chromium freezes a page that a redirect with a cookie led to, in spite of its no-store; others it does not."""
    sign_in(page, "Cleo")
    if again:
        page.goto("/dashboard")
    heading(page, "Hello, Cleo.")

    page.get_by_role("button", name="Sign out").click()
    heading(page, "Seeds with a\N{NO-BREAK SPACE}memory.")
    page.evaluate("history.back()")

    expect(page).to_have_url(re.compile(r"/login\?next=/dashboard$"))
    expect(page.get_by_text("Hello, Cleo")).to_have_count(0)


def test_one_window_does_not_sign_in_another(page: Page, address: str) -> None:
    sign_in(page, "Ada")
    browser = page.context.browser
    assert browser is not None

    with browser.new_page(base_url=address) as other:
        other.goto("/admin")

        expect(other).to_have_url(re.compile(r"/login\?next=/admin$"))


def test_a_session_that_is_ended_at_another_device_is_signed_out(page: Page, address: str) -> None:
    browser = page.context.browser
    assert browser is not None
    with browser.new_page(base_url=address, user_agent="Mozilla/5.0 (Windows NT 10.0; rv:144.0) Firefox/144.0") as lost:
        sign_in(lost, "Ada")
        sign_in(page, "Ada")
        page.get_by_role("link", name="Your devices").click()
        heading(page, "Your devices")

        device = page.get_by_role("listitem").filter(has_text="Firefox on Windows")
        device.get_by_role("button", name="End").click()

        expect(device).to_have_count(0)
        expect(page.get_by_text("this device")).to_be_visible()
        lost.reload()
        expect(lost).to_have_url(re.compile(r"/login\?next=/dashboard$"))


def test_no_script_can_read_the_cookie(page: Page) -> None:
    sign_in(page, "Ada")

    assert len(page.context.cookies()) == 1
    assert page.evaluate("document.cookie") == ""


def test_login_csrf_by_a_form_on_another_site_signs_nobody_in(page: Page, address: str) -> None:
    page.goto("about:blank")
    page.set_content(
        f"""<form method="post" action="{address}/login"><input name="username" value="ada">
        <input name="password" value="orchard"><button>Win a pony</button></form>"""
    )

    page.get_by_role("button", name="Win a pony").click()

    heading(page, "This gate is locked.")
    assert page.context.cookies() == []


def test_the_docs_show_their_padlocks_without_any_other_host(page: Page, address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto("/docs")

    expect(page.locator(".opblock")).to_have_count(8)
    expect(page.get_by_text("needs JavaScript")).to_have_count(0)
    expect(page.locator(".opblock").locator(PADLOCK)).to_have_count(6)
    expect(page.locator("#operations-Seeds-products_api_products_get").locator(PADLOCK)).to_have_count(0)
    assert all(url.startswith((address, "data:")) for url in asked)


def test_the_docs_can_be_tried_out_by_whoever_is_signed_in(page: Page) -> None:
    sign_in(page, "Cleo")
    page.goto("/docs")

    page.get_by_role("button", name="Who is signed in").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()

    expect(page.locator(".live-responses-table tbody")).to_contain_text("cleo@example.com")


def test_the_docs_say_where_to_sign_in_and_whoever_did_comes_back(page: Page) -> None:
    page.goto("/docs")
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("button", name="Sign in as Cleo").click()

    expect(page).to_have_url(re.compile(r"/docs$"))
    expect(page.get_by_role("banner")).to_contain_text("Signed in as Cleo Adeyemi, customer")


def test_authorize_explains_itself_and_asks_for_nothing(page: Page) -> None:
    page.goto("/docs")

    page.get_by_role("button", name="Authorize").click()

    dialog = page.locator(".dialog-ux")
    expect(dialog).to_contain_text("There is nothing to fill in")
    expect(dialog.get_by_role("link", name="signed in")).to_have_attribute("href", "/login?next=/docs")
    expect(dialog.get_by_role("textbox")).to_have_count(0)
    expect(dialog.get_by_role("button", name="Apply credentials")).to_have_count(0)
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)


def test_the_keyboard_skips_to_the_content(page: Page) -> None:
    page.goto("/")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"#content$"))


@pytest.mark.parametrize(("name", "paths"), [("", STRANGERS_PAGES), ("Cleo", CLEOS_PAGES), ("Ada", ADAS_PAGES)])
def test_no_page_is_wider_than_a_phone(page: Page, name: str, paths: list[str]) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    if name:
        sign_in(page, name)

    for path in paths:
        page.goto(path)

        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
