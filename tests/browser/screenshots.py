"""``python -m tests.browser.screenshots [FOLDER]``: take the README's pictures of the shop.

Writes ``shop.png``, ``shop-account.png`` and ``docs-padlocks.png`` to ``docs/images``. With a folder of your own it also takes every other
page, in light, dark and narrow, to look at. The pictures in the repository were taken with the fonts of Debian's
packages ``fonts-urw-base35`` and ``fonts-inter``.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from examples.shop.smoke import free_port, running_shop
from tests.browser.chromium import running_chromium

IMAGES = Path(__file__).parents[2] / "docs" / "images"

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}


def sign_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.get_by_role("button", name=f"Sign in as {name}").click()
    page.wait_for_url("**/dashboard")


def shoot(page: Page, path: str, target: Path, *, whole: bool = True) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=target, full_page=whole)
    print(target)


def for_the_readme(browser: Browser, address: str) -> None:
    with browser.new_page(base_url=address, viewport={"width": 1280, "height": 820}, device_scale_factor=1.5) as page:
        shoot(page, "/", IMAGES / "shop.png", whole=False)
        sign_in(page, "Emil")
        page.set_viewport_size({"width": 1280, "height": 880})
        shoot(page, "/dashboard", IMAGES / "shop-account.png", whole=False)
        page.set_viewport_size({"width": 1080, "height": 600})
        shoot(page, "/docs", IMAGES / "docs-padlocks.png")


def everything(browser: Browser, address: str, folder: Path) -> None:
    for look, options in {
        "light": {"viewport": WIDE},
        "dark": {"viewport": WIDE, "color_scheme": "dark"},
        "narrow": {"viewport": NARROW},
    }.items():
        with browser.new_page(base_url=address, **options) as page:  # type: ignore[arg-type]
            every_page(page, folder, look)


def every_page(page: Page, folder: Path, look: str) -> None:
    shoot(page, "/", folder / f"{look}-front.png")
    shoot(page, "/login?next=/almanac", folder / f"{look}-login.png")
    sign_in(page, "Cleo")
    fill_the_basket(page)
    shoot(page, "/", folder / f"{look}-front-signed-in.png")
    shoot(page, "/dashboard", folder / f"{look}-dashboard.png")
    shoot(page, "/admin", folder / f"{look}-refused.png")
    shoot(page, "/almanac", folder / f"{look}-refused-almanac.png")
    shoot(page, "/nowhere", folder / f"{look}-missing.png")
    shoot(page, "/account/devices", folder / f"{look}-devices.png")
    page.goto("/dashboard")
    page.get_by_role("button", name="Place the order").click()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "Ada")
    for name in ("almanac", "editor", "settings", "admin", "admin/orders"):
        shoot(page, f"/{name}", folder / f"{look}-{name.replace('/', '-')}.png")


def fill_the_basket(page: Page) -> None:
    for product in ("Black Krim", "Chioggia", "Chioggia"):
        page.goto("/")
        page.get_by_role("button", name=f"Add to basket {product}").click()


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as shop,
        running_shop(free_port(), shop) as address,
        running_chromium() as browser,
    ):
        for_the_readme(browser, address)
        if len(sys.argv) > 1:
            everything(browser, address, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
