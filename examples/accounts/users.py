"""Who has an account: the table, their passwords, and how they are found."""

import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import Depends
from fastapi.concurrency import run_in_threadpool
from pwdlib import PasswordHash
from pydantic import StringConstraints
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from examples.accounts.settings import DATABASE

Role = Literal["member", "editor", "admin"]
Email = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, max_length=254, pattern=r"^[\w.+-]+@[\w.-]+$")
]
Password = Annotated[str, StringConstraints(max_length=200)]
NewPassword = Annotated[str, StringConstraints(min_length=12, max_length=200)]

engine = create_async_engine(DATABASE)
hasher = PasswordHash.recommended()  # argon2
NOBODYS_HASH = hasher.hash(secrets.token_urlsafe())


class Person(SQLModel):
    """What may be shown of somebody."""

    # Never given out twice, as a counted number may be: what still names a deleted account names nobody.
    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True)
    email: str = Field(unique=True)
    name: str
    role: str = "member"


class User(Person, table=True):
    password_hash: str | None = None
    town_id: str | None = Field(default=None, unique=True)


async def create_tables() -> None:
    """Enough to begin with. Once there is data to keep, Alembic does this."""
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)


def database_session() -> AsyncSession:
    return AsyncSession(engine, expire_on_commit=False)


async def open_database() -> AsyncIterator[AsyncSession]:
    async with database_session() as database:
        yield database


Database = Annotated[AsyncSession, Depends(open_database)]


async def hash_of(password: str) -> str:
    return await run_in_threadpool(hasher.hash, password)


async def is_right(password: str, password_hash: str | None) -> bool:
    """Whether it is the password. Without a hash it takes as long, so nobody learns by the clock who has an account."""
    matches = await run_in_threadpool(hasher.verify, password, password_hash or NOBODYS_HASH)
    return matches and password_hash is not None


async def everybody(database: AsyncSession) -> list[User]:
    return list(await database.exec(select(User).order_by(User.email)))


async def with_email(database: AsyncSession, email: str) -> User | None:
    return (await database.exec(select(User).where(User.email == email))).first()


async def with_password(database: AsyncSession, email: str, password: str) -> User | None:
    user = await with_email(database, email)
    right = await is_right(password, user.password_hash if user else None)
    return user if right else None


async def of_town(database: AsyncSession, claims: dict[str, Any]) -> User | None:
    """Whoever the provider says it is: known, found by an address that the provider has verified, or new.

    ``None`` where the address is not verified, or belongs to another account of that provider, also since just now.
    """
    known = (await database.exec(select(User).where(User.town_id == claims["sub"]))).first()
    if known or not claims.get("email_verified"):
        return known
    email = claims["email"].lower()
    user = await with_email(database, email) or User(email=email, name=claims["name"])
    if user.town_id is not None:
        return None
    user.town_id = claims["sub"]
    database.add(user)
    try:
        await database.commit()
    except IntegrityError:  # somebody else's sign-in took the address or the identity at this moment
        return None
    return user
