"""Who is signed in, what visitors have in their baskets, and who may go where: everything about sessions, in one place."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends
from pydantic import BaseModel, Field

from examples.shop.devices import UNKNOWN
from examples.shop.people import Person, Tier
from examples.shop.settings import settings
from examples.shop.storage import make_backend, secret_key_for
from fastapi_sessionkit import (
    CookieSettings,
    RouterGuard,
    Rule,
    Session,
    SessionInfo,
    SessionKit,
    permission,
    role,
)

REMEMBERED = timedelta(days=30)
CLOSE, CONFIRM = "/account/close", "/account/confirm"


class ShopSession(Session):
    """What the shop knows about whoever is signed in."""

    name: str
    tier: Tier = "free"
    device: str = Field(default=UNKNOWN, description="What it was signed in with")


class Basket(BaseModel):
    """What somebody has chosen, signed in or not."""

    packets: dict[str, int] = Field(default={}, description="Packets by product")


def session_for(person: Person, device: str = UNKNOWN) -> ShopSession:
    """The session that a person gets by signing in."""
    return ShopSession(
        user_id=person.username,
        email=person.email,
        name=person.name,
        role=person.role,
        permissions=person.permissions,
        tier=person.tier,
        device=device,
    )


backend = make_backend(settings.store)
key = settings.secret_key or secret_key_for(settings.store)
cookie = CookieSettings(https_only=settings.https)

kit = SessionKit(
    ShopSession,
    backend=backend,
    secret_key=key,
    cookie=cookie,
    idle_timeout=timedelta(hours=8),
    absolute_timeout=REMEMBERED,
)

# Signed in the browser's cookie, whatever keeps the sessions: so no stranger fills the shop's database.
baskets = SessionKit(
    Basket,
    name="basket",
    anonymous=True,
    secret_key=key,
    cookie=cookie,
    idle_timeout=REMEMBERED,
    absolute_timeout=REMEMBERED,
)

Current = Annotated[ShopSession, Depends(kit.require_session)]
Visitor = Annotated[ShopSession | None, Depends(kit.get_session)]
ThisBasket = Annotated[Basket, Depends(baskets.require_session)]
Info = Annotated[SessionInfo | None, Depends(kit.get_session_info)]


def almanac_member(session: ShopSession | None) -> bool:
    """What the Almanac asks for is no role and no permission, so it is a check of its own."""
    return session is not None and session.tier == "premium"


# Everything needs somebody signed in, except what is excluded or public. The first rule that matches decides.
guard = RouterGuard(
    protect=[
        Rule("/almanac/**", allow=almanac_member),
        Rule("/editor/*/publish", permission="journal:publish"),
        Rule("/editor/**", roles=["editor", "admin"]),
        Rule("/settings/**", permission="settings:write"),
        Rule("/admin/**", role="admin"),
        Rule(CLOSE, fresh=timedelta(minutes=5)),
        Rule("/api/products/**", methods=["GET"], public=True),
        Rule("/api/products/**", requires=role("admin") | permission("stock:write")),
        Rule("/api/almanac", allow=almanac_member),
        Rule("/api/admin/**", role="admin"),
    ],
    login_path="/login",
    reauthenticate_path=CONFIRM,
    home_path="/dashboard",
    global_protect=True,
    exclude=["/", "/basket/*", "/public/**", "/docs", "/openapi.json"],
)
