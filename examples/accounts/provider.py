"""Town ID: an OpenID provider that fits on a page, so that the example needs nobody else. Not to be copied.

It knows one client and two people, and a click is their password. A code is good once, for a minute, and for whoever has
the client's secret and the verifier (PKCE) that belongs to the challenge.
"""

import secrets
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from joserfc import jwt
from joserfc.jwk import ECKey

from examples.accounts.settings import CALLBACK, CLIENT_ID, CLIENT_SECRET, ISSUER

PEOPLE = {"cleo": "Cleo Adeyemi", "dan": "Dan Okafor"}
BUTTONS = "".join(f'<button name="person" value="{key}">I am {name}</button> ' for key, name in PEOPLE.items())
PAGE = f'<title>Town ID</title><h1>Town ID</h1><p>Who are you?</p><form method="post">{BUTTONS}</form>'
KEY = ECKey.generate_key("P-256", auto_kid=True)

app = FastAPI(title="Town ID", openapi_url=None)
grants: dict[str, tuple[str, dict[str, Any]]] = {}


@app.get("/.well-known/openid-configuration")
async def configuration() -> dict[str, Any]:
    return {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "jwks_uri": f"{ISSUER}/jwks",
        "id_token_signing_alg_values_supported": ["ES256"],
    }


@app.get("/jwks")
async def jwks() -> dict[str, Any]:
    return {"keys": [KEY.as_dict(private=False)]}


@app.get("/authorize")
async def ask() -> HTMLResponse:
    return HTMLResponse(PAGE)


@app.post("/authorize")
async def answer(
    state: str, nonce: str, code_challenge: str, person: Annotated[Literal["cleo", "dan"], Form()]
) -> RedirectResponse:
    """Back to the one client that there is, wherever the question said."""
    code, now = secrets.token_urlsafe(), int(time.time())
    claims = {"iss": ISSUER, "aud": CLIENT_ID, "iat": now, "exp": now + 60, "auth_time": now, "nonce": nonce}
    claims |= {"sub": person, "name": PEOPLE[person], "email": f"{person}@example.com", "email_verified": True}
    grants[code] = (code_challenge, claims)
    return RedirectResponse(f"{CALLBACK}?{urlencode({'code': code, 'state': state})}", 303)


@app.post("/token")
async def token(
    client: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())],
    code: Annotated[str, Form()],
    code_verifier: Annotated[str, Form()],
) -> dict[str, Any]:
    challenge, claims = grants.pop(code, ("", {"exp": 0}))
    proved = urlsafe_b64encode(sha256(code_verifier.encode()).digest()).rstrip(b"=").decode() == challenge
    known = secrets.compare_digest(client.password.encode(), CLIENT_SECRET.encode())
    if not known or not proved or claims["exp"] < time.time():
        raise HTTPException(400, "invalid_grant")
    id_token = jwt.encode({"alg": "ES256", "kid": KEY.kid}, claims, KEY)
    return {"access_token": secrets.token_urlsafe(), "token_type": "Bearer", "id_token": id_token}
