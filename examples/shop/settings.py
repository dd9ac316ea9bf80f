"""What the environment says about this run. Everything has a default, so nothing has to be set."""

import os
from dataclasses import dataclass

from fastapi_sessionkit import ConfigurationError


@dataclass(frozen=True)
class Settings:
    """The shop's settings.

    Attributes:
        https: ``SHOP_HTTPS=1`` when the shop is reached over https; the cookie is then ``Secure`` and ``__Host-``.
        store: ``SHOP_STORE``, where sessions are kept: ``shop.sqlite3`` in the folder that the shop is started from. For
            what else it may be see ``storage.make_backend``.
        secret_key: ``SESSIONKIT_SECRET_KEY``; for what signs sessions without it see ``storage.secret_key_for``.
    """

    https: bool
    store: str
    secret_key: str | None

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the environment once, at start."""
        https = os.environ.get("SHOP_HTTPS") or "0"
        if https not in {"0", "1"}:
            raise ConfigurationError(f"SHOP_HTTPS is 1 or 0, not {https!r}")
        return cls(
            https=https == "1",
            store=os.environ.get("SHOP_STORE") or "shop.sqlite3",
            secret_key=os.environ.get("SESSIONKIT_SECRET_KEY") or None,
        )


settings = Settings.from_environment()
