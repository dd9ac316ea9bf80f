"""A cart that one fills before signing in and keeps afterwards, and messages that are shown once.

Run it, and open http://127.0.0.1:8000:
    fastapi dev examples/basket.py
"""

import os
import secrets
from html import escape
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from fastapi_sessionkit import Session, SessionKit, clear_session, get_session, require_session, set_session

PRICES = {"bread": 4, "cheese": 9, "tea": 6}


class Visit(BaseModel):
    """What is kept for whoever comes by. Every field has a default, so nobody has to begin it."""

    cart: dict[str, int] = {}
    messages: list[str] = []


# Without a key in the environment every run makes its own, and a restart forgets carts and signs everybody out.
key = os.environ.get("SESSIONKIT_SECRET_KEY") or secrets.token_urlsafe(32)
users = SessionKit(Session, secret_key=key)
visits = SessionKit(Visit, secret_key=key, name="visit", anonymous=True)
app = FastAPI(title="Basket")
users.install(app)
visits.install(app)

ThisVisit = Annotated[Visit, Depends(visits.require_session)]


async def messages_once(visit: ThisVisit) -> list[str]:
    """What is to be said now, and not again. A change in place is noticed, and saved with the response."""
    said = list(visit.messages)
    visit.messages.clear()
    return said


@app.get("/", response_class=HTMLResponse)
async def front(
    visit: ThisVisit,
    messages: Annotated[list[str], Depends(messages_once)],
    user: Annotated[Session | None, Depends(get_session)],
) -> str:
    said = "".join(f"<p>{escape(message)}</p>" for message in messages)
    cart = ", ".join(f"{count} x {name}" for name, count in visit.cart.items()) or "empty"
    buttons = "".join(button(f"/cart/{name}", f"Add {name}") for name in PRICES)
    door = button("/logout", f"Sign out {user.user_id}") if user else button("/login", "Sign in as ada")
    return f"{said}<p>Your cart: {escape(cart)}</p>{buttons}{button('/order', 'Order')}{door}"


def button(path: str, text: str) -> str:
    return f'<form method="post" action="{path}"><button>{escape(text)}</button></form>'


@app.post("/cart/{name}")
async def add(name: str, visit: ThisVisit) -> RedirectResponse:
    if name not in PRICES:
        raise HTTPException(404, "There is no such thing here")
    visit.cart[name] = visit.cart.get(name, 0) + 1
    visit.messages.append(f"Added: {name}")
    return RedirectResponse("/", 303)


@app.post("/login")
async def login(request: Request, visit: ThisVisit) -> RedirectResponse:
    """The password is left out here; see examples/quickstart.py. The cart stays as it is: it is another session."""
    set_session(request, Session(user_id="ada"))
    visit.messages.append("Welcome back")
    return RedirectResponse("/", 303)


@app.post("/order")
async def order(
    request: Request, visit: ThisVisit, user: Annotated[Session, Depends(require_session)]
) -> RedirectResponse:
    total = sum(PRICES[name] * count for name, count in visit.cart.items())
    visits.update_session(request, cart={}, messages=[f"Ordered for {total}, {user.user_id}"])
    return RedirectResponse("/", 303)


@app.post("/logout")
async def logout(request: Request) -> RedirectResponse:
    """On a shared computer the cart shall go too."""
    clear_session(request)
    visits.clear_session(request)
    return RedirectResponse("/", 303)
