"""The way in with an account of Town ID, an OpenID provider. ``provider.py`` is one; the browser is sent there and back."""

import time

from authlib.integrations.starlette_client import OAuth, OAuthError
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from examples.accounts.sessions import sign_in
from examples.accounts.settings import CALLBACK, CLIENT_ID, CLIENT_SECRET, ISSUER
from examples.accounts.users import Database, of_town
from fastapi_sessionkit import login_redirect_target

oauth = OAuth()
town = oauth.register(
    "town",
    server_metadata_url=f"{ISSUER}/.well-known/openid-configuration",
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256"},
)
router = APIRouter(prefix="/login/town", include_in_schema=False)


@router.get("")
async def leave(request: Request) -> Response:
    """The provider shall ask who it is, even somebody whom it knows: what begins here counts as a recent sign-in."""
    request.session["next"] = login_redirect_target(request, default="/account")
    redirect: Response = await town.authorize_redirect(request, CALLBACK, prompt="login")
    return redirect


@router.get("/callback")
async def come_back(request: Request, database: Database) -> RedirectResponse:
    """Authlib has compared state and nonce, and verified the token. Whether they were asked just now, it leaves to us."""
    try:
        claims = (await town.authorize_access_token(request))["userinfo"]
    except OAuthError:
        raise HTTPException(422, "Town ID did not sign you in. Try again.") from None
    asked_just_now = claims.get("auth_time", 0) > time.time() - 300
    user = await of_town(database, claims) if asked_just_now else None
    if user is None:
        raise HTTPException(422, "Town ID does not vouch for you. Sign in by email.")
    sign_in(request, user)
    return RedirectResponse(request.session.pop("next", "/account"), 303)
