"""A client of ``examples/api_tokens.py``: it signs in once, keeps its token in a file, and sees when it was revoked.

    python examples/api_client.py login ada      # asks for the password, which is "demo"
    python examples/api_client.py me
    python examples/api_client.py devices
    python examples/api_client.py revoke HANDLE
    python examples/api_client.py logout

The token opens the account, so the file is for its owner's eyes alone. A mobile app keeps it in the system's keychain.
"""

import getpass
import os
import platform
import sys
from pathlib import Path
from typing import Any

import httpx

URL = os.environ.get("API_URL", "http://127.0.0.1:8000")
TOKEN_FILE = Path.home() / ".config" / "api-client-token"


class SignedOut(Exception):
    """There is no token, or it is over: revoked, expired or signed out."""


class BearerFile(httpx.Auth):
    """Sends the token in a file with every request, and forgets it when the server does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def auth_flow(self, request: httpx.Request) -> Any:
        if not self.path.exists():
            raise SignedOut("Sign in first: login NAME")
        request.headers["Authorization"] = f"Bearer {self.path.read_text()}"
        response = yield request
        if response.status_code == 401:
            self.forget()
            raise SignedOut("The token was revoked or has expired, sign in again: login NAME")

    def keep(self, token: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.forget()
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token)

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


class Api:
    """The calls that a program makes; each raises ``SignedOut`` when it has to sign in again."""

    def __init__(self, client: httpx.Client, token_file: Path = TOKEN_FILE) -> None:
        self._client = client
        self._auth = BearerFile(token_file)

    def login(self, username: str, password: str, device: str) -> None:
        credentials = {"username": username, "password": password, "device": device}
        response = self._client.post("/token", json=credentials)  # without the old token, which may be over
        self._auth.keep(response.raise_for_status().json()["access_token"])

    def me(self) -> Any:
        return self._call("GET", "/me")

    def devices(self) -> Any:
        return self._call("GET", "/devices")

    def revoke(self, handle: str) -> None:
        self._call("DELETE", f"/devices/{handle}")

    def logout(self) -> None:
        self._call("POST", "/logout")
        self._auth.forget()

    def _call(self, method: str, path: str) -> Any:
        response = self._client.request(method, path, auth=self._auth).raise_for_status()
        return response.json() if response.content else None


def main(arguments: list[str]) -> None:
    command, *rest = arguments or ["me"]
    with httpx.Client(base_url=URL) as client:
        api = Api(client)
        if command == "login":
            api.login(rest[0], getpass.getpass(), f"A script on {platform.node()}")
        elif command in {"me", "devices", "revoke", "logout"}:
            print(getattr(api, command)(*rest))
        else:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SignedOut as error:
        sys.exit(str(error))
