"""The key that signs sessions, kept in a file: a restart then signs nobody out."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from fastapi_sessionkit import ConfigurationError

SHORTEST = 32


def kept_key(file: Path) -> str:
    """The key in the file, which is made if there is none.

    Raises:
        ConfigurationError: the file can't be read or made, or holds something else.
    """
    try:
        if not file.exists():
            make(file)
        key = file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigurationError(
            f"The shop can't keep its key in {file} ({error.strerror}): set SESSIONKIT_SECRET_KEY, or SHOP_STORE to "
            "another place"
        ) from error
    except UnicodeDecodeError:
        key = ""
    if len(key) < SHORTEST:
        raise ConfigurationError(f"{file} holds no key: remove it, and the next start makes one")
    return key


def make(file: Path) -> None:
    """Write a new key beside the file's place and link it there, whole. Of two that do this at once, the first wins."""
    handle, draft = tempfile.mkstemp(dir=file.parent, suffix=file.suffix)  # only its owner may read it
    try:
        with os.fdopen(handle, "w", encoding="ascii") as writing:
            writing.write(secrets.token_urlsafe(48) + "\n")
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        Path(draft).unlink()
