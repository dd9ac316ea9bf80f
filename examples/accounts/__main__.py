"""``python -m examples.accounts``: the application and the provider on this machine, and two people to sign in as."""

import asyncio
import os
import secrets
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn

from examples.accounts import settings
from examples.accounts.users import User, create_tables, database_session, engine, everybody, hash_of

PASSWORD = "correct horse battery"
WELCOME = f"""
Accounts:  {settings.ADDRESS}
Sign in as ada@example.com (admin) or bob@example.com, with the password "{PASSWORD}",
or at Town ID ({settings.ISSUER}). Data, and letters that would be sent, are in {settings.FOLDER}.
"""


def kept_key(file: Path) -> str:
    """The key that signs sessions, made by the first start. Only its owner may read it."""
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as writing:
            writing.write(secrets.token_urlsafe(48))
    return file.read_text()


async def prepare() -> None:
    """The tables, and somebody in them."""
    await create_tables()
    async with database_session() as database:
        if not await everybody(database):
            password_hash = await hash_of(PASSWORD)
            database.add(User(email="ada@example.com", name="Ada Moreau", role="admin", password_hash=password_hash))
            database.add(User(email="bob@example.com", name="Bob Keller", password_hash=password_hash))
            await database.commit()
    await engine.dispose()


def server(app: Any, port: int) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))


def main() -> None:
    settings.FOLDER.mkdir(exist_ok=True)
    os.environ.setdefault("SESSIONKIT_SECRET_KEY", kept_key(settings.FOLDER / "key.secret"))
    os.environ.setdefault("FASTAPI_ENV", "development")  # the cookie may travel over plain http
    from examples.accounts import provider
    from examples.accounts.app import app

    asyncio.run(prepare())
    Thread(target=server(provider.app, settings.PROVIDER_PORT).run, daemon=True).start()
    print(WELCOME, flush=True)
    server(app, settings.PORT).run()


if __name__ == "__main__":
    main()
