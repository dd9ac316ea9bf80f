"""``python -m examples.shop.smoke``: start the real server, walk through it as a browser would, and say how it went.

Prints a line for every step. Exits with 1, and says what was found instead, at the first one that fails.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds that the server may take to start, or to answer: slow machines take some."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_shop(port: int, folder: str | Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """The shop in a process of its own, started from that folder, as its address; ended on the way out."""
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.shop"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(environment or {}), "SHOP_PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until_open(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_until_open(process: subprocess.Popen[bytes], port: int) -> None:
    """Return as soon as the port answers."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"The shop did not open on port {port}")


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: Message
    text: str

    def __str__(self) -> str:
        return f"{self.status} {dict(self.headers)} {self.text[:300]}"


class StayHere(urllib.request.HTTPRedirectHandler):
    """Shows redirects instead of following them."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Visitor:
    """A browser as far as this walk needs one: it keeps cookies and asks for pages."""

    def __init__(self, address: str) -> None:
        self.address = address
        # Straight to the shop, whatever proxy the environment names.
        straight = urllib.request.ProxyHandler({})
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(straight, StayHere, cookies)

    def get(self, path: str, accept: str = "text/html") -> Answer:
        """GET a path."""
        return self._send(urllib.request.Request(self.address + path, headers={"Accept": accept}))

    def post(self, path: str, **form: str) -> Answer:
        """POST a form."""
        data = urlencode(form).encode()
        return self._send(urllib.request.Request(self.address + path, data, {"Accept": "text/html"}))

    def _send(self, request: urllib.request.Request) -> Answer:
        try:
            with self._opener.open(request, timeout=PATIENCE) as response:
                return Answer(response.status, response.headers, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode())


Check = Callable[[Answer], bool]


def step(sentence: str, answer: Answer, check: Check) -> None:
    """Print the sentence, and stop here if it does not hold."""
    if not check(answer):
        print(f"FAILED  {sentence}\n        {answer}")
        raise SystemExit(1)
    print(f"ok      {sentence}", flush=True)


def shows(status: int, text: str) -> Check:
    """That status, and that text on the page."""
    return lambda answer: answer.status == status and text in answer.text


def leads_to(path: str) -> Check:
    """A redirect to that path."""
    return lambda answer: answer.status in {302, 303} and answer.headers["Location"] == path


def padlocked(answer: Answer) -> bool:
    """Whether the API's description asks for a role where a rule does."""
    paths = json.loads(answer.text)["paths"]
    asked = paths["/api/admin/orders"]["get"].get("security")
    return asked == [{"session_cookie": ["role:admin"]}] and "security" not in paths["/api/products"]["get"]


def outside(visitor: Visitor) -> None:
    """What somebody sees who is not signed in."""
    step("The front page is open", visitor.get("/"), shows(200, "Seeds with a"))
    step("The docs are open", visitor.get("/docs"), shows(200, "/public/docs/swagger-ui-bundle.js"))
    step("Their script is served from here", visitor.get("/public/docs/swagger-ui-bundle.js"), shows(200, "SwaggerUI"))
    step("They have padlocks", visitor.get("/openapi.json"), padlocked)
    step("The account is not open", visitor.get("/dashboard"), leads_to("/login?next=/dashboard"))
    step("The API refuses as JSON", visitor.get("/api/me", accept="application/json"), shows(401, '"detail"'))


def inside(visitor: Visitor) -> None:
    """Sign in as a customer, and become a member."""
    wrong = visitor.post("/login", username="cleo", password="turnip")
    step("A wrong password is refused", wrong, shows(422, "belong together"))
    right = visitor.post("/login?next=/almanac", username="cleo", password="radish")
    step("Signing in leads on to where one wanted to go", right, leads_to("/almanac"))
    account = visitor.get("/dashboard")
    step("The account shows who is signed in", account, shows(200, "Hello, Cleo"))
    step("No cache keeps it", account, lambda answer: answer.headers["Cache-Control"] == "no-store")
    step("The admin's pages are locked", visitor.get("/admin"), shows(403, "This gate is locked"))
    step("The Almanac is locked", visitor.get("/almanac"), shows(403, "Join the Almanac"))
    step("The upgrade opens it", visitor.post("/upgrade"), leads_to("/almanac"))
    step("The Almanac is open", visitor.get("/almanac"), shows(200, "The whole year"))


def elsewhere(visitor: Visitor, thief: Visitor) -> None:
    """The same person at a second machine: seen at the first, and signed out from there."""
    step("A second machine signs in", thief.post("/login", username="cleo", password="radish"), leads_to("/dashboard"))
    page = visitor.get("/account/devices")
    step("The first machine sees both", page, lambda answer: shows(200, "this device")(answer) and ends(answer) == 1)
    step("It ends all others", visitor.post("/account/devices/end-others"), leads_to("/account/devices"))
    step("The second is signed out", thief.get("/dashboard"), leads_to("/login?next=/dashboard"))


def ends(answer: Answer) -> int:
    """How many sessions the page offers to end."""
    return answer.text.count('name="handle"')


def afterwards(visitor: Visitor) -> None:
    """Still signed in after a restart; and out again."""
    step("A restart signs nobody out", visitor.get("/almanac"), shows(200, "The whole year"))
    step("Signing out leads to the front page", visitor.post("/logout"), leads_to("/"))
    step("The account is closed again", visitor.get("/dashboard"), leads_to("/login?next=/dashboard"))


def main() -> None:
    """Walk through the shop, with a restart in between."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        with running_shop(port, folder) as address:
            visitor = Visitor(address)
            outside(visitor)
            inside(visitor)
            elsewhere(visitor, Visitor(address))
        with running_shop(port, folder):
            afterwards(visitor)
    print("The shop is well.")


if __name__ == "__main__":
    main()
