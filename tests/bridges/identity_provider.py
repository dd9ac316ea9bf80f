"""A small OAuth 2 and OpenID provider: whoever is sent there by the shop is Ada."""

import base64
import hashlib
import secrets
import time
from functools import cache
from html import escape
from typing import Annotated, Any

import httpx2
from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import URL

ISSUER = "https://id.example"
CLIENT, PASSWORD = "shop", "the shop's password at the provider"


@cache
def signing_key() -> Any:
    """One for all providers: making it takes a while."""
    from joserfc.jwk import RSAKey

    return RSAKey.generate_key(2048, {"kid": "one"})


def provider() -> FastAPI:
    """The provider as an application."""
    from joserfc import jwt

    app, codes, key = FastAPI(), dict[str, Any](), signing_key()

    @app.get("/.well-known/openid-configuration")
    async def metadata() -> dict[str, str]:
        return {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }

    @app.get("/keys")
    async def keys() -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False)]}

    @app.get("/authorize")
    async def authorize(request: Request) -> Response:
        asked = request.query_params
        code = secrets.token_urlsafe()
        codes[code] = asked
        given = {"code": code, "state": asked["state"]}
        if asked.get("response_mode") == "form_post":
            fields = "".join(f'<input name="{name}" value="{escape(value)}">' for name, value in given.items())
            return HTMLResponse(f'<form method="post" action="{escape(asked["redirect_uri"])}">{fields}</form>')
        return RedirectResponse(str(URL(asked["redirect_uri"]).include_query_params(**given)), 302)

    @app.post("/token")
    async def token(
        request: Request,
        code: Annotated[str, Form()],
        redirect_uri: Annotated[str, Form()],
        code_verifier: Annotated[str, Form()],
    ) -> dict[str, Any]:
        asked = codes.pop(code, {})
        basic = base64.b64encode(f"{CLIENT}:{PASSWORD}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).decode().rstrip("=")
        if (
            request.headers.get("authorization") != f"Basic {basic}"
            or asked.get("redirect_uri") != redirect_uri
            or asked.get("code_challenge") != challenge
        ):
            raise HTTPException(400, "invalid_grant")
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": CLIENT, "sub": "ada", "nonce": asked["nonce"], "iat": now, "exp": now + 60}
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, "email": "ada@example.com"}, key)
        return {"access_token": "made-up", "token_type": "Bearer", "expires_in": 60, "id_token": signed}

    return app


def registration(identity: FastAPI, **more: Any) -> dict[str, Any]:
    """What ``OAuth().register("id", ...)`` takes to find the provider, which is asked within this process."""
    return {
        "client_id": CLIENT,
        "client_secret": PASSWORD,
        "server_metadata_url": f"{ISSUER}/.well-known/openid-configuration",
        "client_kwargs": {
            "scope": "openid email",
            "code_challenge_method": "S256",
            "transport": httpx2.ASGITransport(identity),
        },
        **more,
    }
