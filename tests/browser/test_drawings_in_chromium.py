"""The drawings of the documentation: a browser draws all of them, and asks no other machine for anything."""

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

from mkdocs.commands.build import build
from mkdocs.config import load_config
from playwright.sync_api import Browser, expect

from tests.docs.pages import ROOT, blocks

PAGES = sorted((ROOT / "docs" / "understand").glob("*.md"))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the class above)
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """These pages alone, as the whole site is built."""
    docs, made = tmp_path_factory.mktemp("docs"), tmp_path_factory.mktemp("site")
    for folder in ("understand", "javascripts", "stylesheets"):
        shutil.copytree(ROOT / "docs" / folder, docs / folder)
    settings = str(ROOT / "mkdocs.yml")
    build(load_config(settings, docs_dir=str(docs), site_dir=str(made), nav=None, plugins=[], strict=False))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=made))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_drawing_is_drawn_and_nobody_else_is_asked(browser: Browser, site: str) -> None:
    asked: list[str] = []
    with browser.new_context(base_url=site) as context:
        window = context.new_page()
        window.on("request", lambda request: asked.append(request.url))
        for page in PAGES:
            window.goto(f"/understand/{page.stem}/")
            drawings = [block for block in blocks(page.read_text(encoding="utf-8")) if block.language == "mermaid"]
            # Material puts an element with the drawing inside in the place of the text.
            expect(window.locator("div.mermaid")).to_have_count(len(drawings))
            heights = window.eval_on_selector_all("div.mermaid", "all => all.map(each => each.clientHeight)")

            assert drawings
            assert min(heights) > 50

    assert [url for url in asked if not url.startswith(site)] == []
