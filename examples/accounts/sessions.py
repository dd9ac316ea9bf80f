"""Who is signed in, who may go where, and the changes of accounts that reach people who are signed in."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from examples.accounts.users import Database, Role, User, database_session, engine
from fastapi_sessionkit import NotAuthenticated, RouterGuard, Rule, Session, SessionKit, clear_session, set_session
from fastapi_sessionkit.stores.sql import SQLStore

REMEMBERED = timedelta(days=30)
CONFIRM, DELETE = "/account/confirm", "/account/delete"


class AccountSession(Session):
    name: str
    device: str = ""


def session_for(user: User, device: str = "") -> AccountSession:
    return AccountSession(user_id=user.id, email=user.email, name=user.name, role=user.role, device=device)


async def as_the_table_says(session: AccountSession) -> AccountSession | None:
    """The session with what the table says now; ``None``, which ends it, where the account is gone.

    The functions below change sessions at once. This is for what nobody told them: a script, a sign-in at that moment.
    """
    async with database_session() as database:
        user = await database.get(User, session.user_id)
    return session_for(user, session.device) if user else None


# Signed with SESSIONKIT_SECRET_KEY, and kept beside the users.
kit = SessionKit(
    AccountSession,
    backend=SQLStore(engine),
    idle_timeout=timedelta(hours=8),
    absolute_timeout=REMEMBERED,
    revalidate=as_the_table_says,
    revalidate_every=timedelta(minutes=5),
)

# Everything needs somebody signed in, except what is public or excluded. The first rule that matches decides.
guard = RouterGuard(
    protect=[
        Rule("/people/**", role="admin"),
        Rule("/api/people/**", role="admin"),
        Rule(DELETE, fresh=timedelta(minutes=5)),
        Rule("/register/**", public=True),
        Rule("/login/town/**", public=True),
    ],
    login_path="/login",
    reauthenticate_path=CONFIRM,
    home_path="/account",
    global_protect=True,
    exclude=["/", "/static/**"],
)

Current = Annotated[AccountSession, Depends(kit.require_session)]


async def current_user(request: Request, session: Current, database: Database) -> User:
    """The row, where the session is not enough."""
    user = await database.get(User, session.user_id)
    if user is None:
        clear_session(request)
        raise NotAuthenticated
    return user


CurrentUser = Annotated[User, Depends(current_user)]


def sign_in(request: Request, user: User, *, remember: bool = False) -> None:
    """Begin a session, which ends with the browser unless it is remembered."""
    session = session_for(user, request.headers.get("user-agent", "")[:200])
    set_session(request, session, ttl=REMEMBERED if remember else None, persistent=remember)


async def change_role(database: Database, user_id: str, role: Role, by: AccountSession) -> User:
    """Change it in the table and in all sessions of that user, whose next request has the new role."""
    if user_id == by.user_id:
        raise HTTPException(409, "Your own role is for another admin to change.")
    user = await database.get(User, user_id)
    if user is None:
        raise HTTPException(404, "There is no such account.")
    user.role = role
    await database.commit()
    await kit.sessions.update_user(user_id, role=role)
    return user


async def delete_user(database: Database, user: User) -> None:
    """Delete the account, and sign it out everywhere."""
    await database.delete(user)
    await database.commit()
    await kit.sessions.revoke_user(user.id)
