"""What the environment says about this run. Everything has a default, so nothing has to be set."""

import os
import secrets
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The shop's settings.

    Attributes:
        port: ``SHOP_PORT``, 8000.
        https: ``SHOP_HTTPS=1`` when the shop is reached over https; the cookie is then ``Secure`` and ``__Host-``.
        store: ``SHOP_STORE``, where sessions are kept: ``shop.sqlite3`` in the folder that the shop is started from. For
            what else it may be see ``storage.make_backend``.
        secret_key: ``SESSIONKIT_SECRET_KEY``, or a random one for this run.
        forgetful: true with the random one: a restart signs everybody out.
    """

    port: int
    https: bool
    store: str
    secret_key: str
    forgetful: bool

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the environment once, at start."""
        secret_key = os.environ.get("SESSIONKIT_SECRET_KEY")
        return cls(
            port=int(os.environ.get("SHOP_PORT", "8000")),
            https=os.environ.get("SHOP_HTTPS") == "1",
            store=os.environ.get("SHOP_STORE") or "shop.sqlite3",
            secret_key=secret_key or secrets.token_urlsafe(32),
            forgetful=not secret_key,
        )


settings = Settings.from_environment()
