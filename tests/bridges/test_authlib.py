"""Signing in with Authlib's client for Starlette, at a provider that sends back and at one that posts back."""

import re
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse

from fastapi_sessionkit import CookieSettings, Session, SessionKit, require_session, set_session
from tests.bridges.documented import documented
from tests.bridges.identity_provider import ISSUER, provider, registration
from tests.support import COOKIE, SITE, client_of, new_kit

starlette_client = pytest.importorskip("authlib.integrations.starlette_client", reason="Authlib is not installed")

MAPPING = "__Host-request_session"
POSTED_BACK = {"authorize_params": {"response_mode": "form_post"}}
SENT_FROM_ANYWHERE = CookieSettings(same_site="none")


class Browser:
    """Somebody at a shop that people sign in to by ``/login`` and ``/callback``, and at its identity provider."""

    def __init__(self, kit: SessionKit[Any], request_session: Any = True, **registered: Any) -> None:
        identity = provider()
        self.provider = client_of(identity, base_url=ISSUER)
        self.app = shop(kit, request_session, registration(identity, **registered))
        self.shop = client_of(self.app)

    def at_the_provider(self) -> Any:
        """What the provider answers to whom the shop has sent there."""
        sent = self.shop.get("/login")

        assert sent.status_code == 302
        return self.provider.get(sent.headers["location"])

    def submitted(self, page: str, *, origin: str = ISSUER) -> Any:
        """What the shop answers to the form that the provider's page submits: a cross-site request."""
        fields = dict(re.findall(r'<input name="(\w+)" value="([^"]*)">', page))
        for cookie in list(self.shop.cookies.jar):
            if cookie.get_nonstandard_attr("SameSite") != "None":
                self.shop.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
        return self.shop.post("/callback", data=fields, headers={"sec-fetch-site": "cross-site", "origin": origin})

    def who(self) -> Any:
        return self.shop.get("/me").json()


def shop(kit: SessionKit[Any], request_session: Any, registered: dict[str, Any]) -> FastAPI:
    app, oauth = FastAPI(), starlette_client.OAuth()
    oauth.register("id", **registered)
    kit.install(app, request_session=request_session)

    @app.get("/login")
    async def login(request: Request) -> Any:
        return await oauth.id.authorize_redirect(request, f"{SITE}/callback")

    @app.api_route("/callback", methods=["GET", "POST"])
    async def callback(request: Request) -> Any:
        try:
            token = await oauth.id.authorize_access_token(request)
        except starlette_client.OAuthError as error:
            return {"refused": error.error}
        set_session(request, Session(user_id=token["userinfo"]["sub"], email=token["userinfo"]["email"]))
        return RedirectResponse("/me", 303)

    @app.get("/me")
    async def me(request: Request) -> Any:
        session = await require_session(request)
        return {"who": session.user_id, "email": session.email, "left": request.session}

    return app


def test_somebody_signs_in_at_a_provider_that_sends_back() -> None:
    browser = Browser(new_kit())
    back = browser.at_the_provider()
    answer = browser.shop.get(back.headers["location"], headers={"sec-fetch-site": "cross-site"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/me")
    assert browser.who() == {"who": "ada", "email": "ada@example.com", "left": {}}


def test_the_state_counts_once() -> None:
    browser = Browser(new_kit())
    back = browser.at_the_provider().headers["location"]
    browser.shop.get(back)

    assert browser.shop.get(back).json() == {"refused": "mismatching_state"}


def test_another_browser_can_not_use_the_state() -> None:
    browser = Browser(new_kit())
    back = browser.at_the_provider().headers["location"]

    assert client_of(browser.app).get(back).json() == {"refused": "mismatching_state"}


def test_of_two_sign_ins_begun_at_once_the_last_one_counts() -> None:
    browser = Browser(new_kit())
    first, last = browser.at_the_provider(), browser.at_the_provider()

    assert browser.shop.get(first.headers["location"]).json() == {"refused": "mismatching_state"}
    assert browser.shop.get(last.headers["location"]).status_code == 303


@pytest.mark.parametrize("origin", [ISSUER, "null"])
def test_somebody_signs_in_at_a_provider_that_posts_back(origin: str) -> None:
    browser = Browser(new_kit(cross_origin_exempt=["/callback"]), SENT_FROM_ANYWHERE, **POSTED_BACK)
    answer = browser.submitted(browser.at_the_provider().text, origin=origin)

    assert (answer.status_code, answer.headers["location"]) == (303, "/me")
    assert browser.who() == {"who": "ada", "email": "ada@example.com", "left": {}}
    assert "SameSite=Lax" in next(value for value in answer.headers.get_list("set-cookie") if value.startswith(COOKIE))


def test_a_trusted_provider_may_post_back_too() -> None:
    browser = Browser(new_kit(trusted_origins=[ISSUER]), SENT_FROM_ANYWHERE, **POSTED_BACK)

    assert browser.submitted(browser.at_the_provider().text).status_code == 303


def test_a_provider_that_posts_back_finds_no_state_in_a_lax_cookie() -> None:
    browser = Browser(new_kit(cross_origin_exempt=["/callback"]), **POSTED_BACK)
    answer = browser.submitted(browser.at_the_provider().text)

    assert answer.json() == {"refused": "mismatching_state"}


def test_a_provider_that_posts_back_and_is_not_trusted_is_told_what_to_set() -> None:
    browser = Browser(new_kit(), SENT_FROM_ANYWHERE, **POSTED_BACK)
    answer = browser.submitted(browser.at_the_provider().text)

    assert answer.status_code == 403
    assert "cross_origin_exempt" in answer.json()["detail"]
    assert MAPPING in browser.shop.cookies


def test_nobody_is_signed_in_by_a_form_that_another_site_fills() -> None:
    kit = new_kit(cross_origin_exempt=["/callback"])
    victim, attacker = (Browser(kit_, SENT_FROM_ANYWHERE, **POSTED_BACK) for kit_ in (kit, new_kit()))
    victim.at_the_provider()

    assert victim.submitted(attacker.at_the_provider().text).json() == {"refused": "mismatching_state"}


def test_somebody_signs_in_by_what_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    written, identity = documented("test_authlib.py", monkeypatch), provider()
    oauth = starlette_client.OAuth()
    oauth.register("google", **registration(identity))
    written["oauth"] = oauth
    client = client_of(written["app"])
    back = client_of(identity, base_url=ISSUER).get(client.get("/login").headers["location"])
    client.get(back.headers["location"])

    assert list(client.cookies) == [COOKIE]
