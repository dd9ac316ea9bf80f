"""Chromium, if this machine has it. No page may ask another machine for anything."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

PATIENCE = 120_000
"""Milliseconds that it may take to start, which the first time on a machine takes longest."""

# Playwright switches this off; a person's browser has it, and it is what the back button brings pages back from.
KEPT_BACK_BUTTON = "--disable-back-forward-cache"


def installed_chromium() -> str | None:
    """Where the system's Chromium is; Playwright's own is not asked for."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=installed_chromium(),
            args=ARGUMENTS,
            ignore_default_args=[KEPT_BACK_BUTTON],
            timeout=PATIENCE,
        )
        yield browser
        browser.close()
