"""The ways in and out: registration by a letter, the password, and the password once more."""

import os
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.exc import IntegrityError

from examples.accounts import users
from examples.accounts.page import show
from examples.accounts.sessions import CONFIRM, CurrentUser, sign_in
from examples.accounts.settings import ADDRESS, FOLDER
from examples.accounts.users import Database, Email, NewPassword, Password, User
from fastapi_sessionkit import clear_session, login_redirect_target, reauthenticate_session

OUTBOX = FOLDER / "outbox.txt"
LINKS_LAST = 3_600  # seconds

router = APIRouter(include_in_schema=False)
# Proves that somebody reads the address in it. The salt makes it another key than the one that signs sessions.
links = URLSafeTimedSerializer(os.environ.get("SESSIONKIT_SECRET_KEY", ""), salt="register")


@router.get("/login")
async def show_login(request: Request) -> HTMLResponse:
    return show(request, "login.html")


@router.post("/login")
async def login(
    request: Request,
    database: Database,
    email: Annotated[Email, Form()],
    password: Annotated[Password, Form()],
    *,
    remember: Annotated[bool, Form()] = False,
) -> Response:
    user = await users.with_password(database, email, password)
    if user is None:
        return show(request, "login.html", 422, email=email, problem="That email and that password don’t match.")
    sign_in(request, user, remember=remember)
    return RedirectResponse(login_redirect_target(request, default="/account"), 303)


@router.post("/logout")
async def logout(request: Request) -> RedirectResponse:
    clear_session(request)
    return RedirectResponse("/", 303)


@router.get(CONFIRM)
async def show_confirmation(request: Request, user: CurrentUser) -> HTMLResponse:
    return show(request, "confirm.html", user=user)


@router.post(CONFIRM)
async def confirm(request: Request, user: CurrentUser, password: Annotated[Password, Form()]) -> Response:
    if not await users.is_right(password, user.password_hash):
        return show(request, "confirm.html", 422, user=user, problem="That is not the password.")
    reauthenticate_session(request)
    return RedirectResponse(login_redirect_target(request, default="/account"), 303)


@router.get("/register")
async def show_registration(request: Request) -> HTMLResponse:
    return show(request, "register.html")


@router.post("/register")
async def register(
    request: Request, email: Annotated[Email, Form()], database: Database, tasks: BackgroundTasks
) -> HTMLResponse:
    """The same page for everybody, and only the letter tells who has an account. It is sent after the response."""
    known = await users.with_email(database, email) is not None
    tasks.add_task(send, email, f"{ADDRESS}/login" if known else f"{ADDRESS}/register/{links.dumps(email)}")
    return show(request, "register.html", sent_to=email)


def send(email: str, link: str) -> None:
    """Stands in for a mail server."""
    with OUTBOX.open("a", encoding="utf-8") as outbox:
        outbox.write(f"To {email}: go on at {link}\n")


def email_of(token: str) -> str:
    try:
        return str(links.loads(token, max_age=LINKS_LAST))
    except BadSignature:
        raise HTTPException(404, "This link is over. Register again to get another one.") from None


@router.get("/register/{token}")
async def show_new_account(request: Request, token: str) -> HTMLResponse:
    return show(request, "new_account.html", email=email_of(token))


@router.post("/register/{token}")
async def create_account(
    request: Request,
    token: str,
    name: Annotated[str, Form(pattern=r"\S", max_length=80)],
    password: Annotated[NewPassword, Form()],
    database: Database,
) -> RedirectResponse:
    user = User(email=email_of(token), name=name, password_hash=await users.hash_of(password))
    database.add(user)
    try:
        await database.commit()
    except IntegrityError:
        raise HTTPException(409, "This address has an account already. Sign in with it.") from None
    sign_in(request, user)
    return RedirectResponse("/account", 303)
