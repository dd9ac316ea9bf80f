"""What the environment says about this run. Everything but the secret key has a default."""

import os
from pathlib import Path

FOLDER = Path(os.environ.get("ACCOUNTS_FOLDER") or "accounts-data").absolute()
PORT = int(os.environ.get("ACCOUNTS_PORT") or 8000)
PROVIDER_PORT = int(os.environ.get("ACCOUNTS_PROVIDER_PORT") or PORT + 1)

# In letters and redirects: written here, because the Host header of a request is what a client says that it is.
ADDRESS = os.environ.get("ACCOUNTS_ADDRESS") or f"http://127.0.0.1:{PORT}"
DATABASE = os.environ.get("ACCOUNTS_DATABASE") or f"sqlite+aiosqlite:///{FOLDER / 'accounts.sqlite3'}"

# Where people may sign in with an account they have elsewhere. Google, Keycloak and the like are set up in the same way.
ISSUER = os.environ.get("ACCOUNTS_ISSUER") or f"http://127.0.0.1:{PROVIDER_PORT}"
CLIENT_ID = os.environ.get("ACCOUNTS_CLIENT_ID") or "accounts"
CLIENT_SECRET = os.environ.get("ACCOUNTS_CLIENT_SECRET") or "known to this example and to its provider"
CALLBACK = f"{ADDRESS}/login/town/callback"
