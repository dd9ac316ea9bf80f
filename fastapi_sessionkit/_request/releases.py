"""Releases of a model: bringing what an older one stored up to date."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError
from .envelope import Envelope

Migrate = Callable[[dict[str, Any], int], dict[str, Any]]
"""Gets a stored session as plain JSON and the release that wrote it; gives what this release would have stored."""


class MigrationFailed(Exception):
    """A stored session can't be brought up to date. The text holds no value."""


@dataclass(frozen=True, slots=True)
class Release:
    """Which release of the model this process has, and how it takes what an older one stored."""

    version: int = 1
    migrate: Migrate | None = None

    def current(self, stored: Envelope) -> Envelope:
        """What is stored as this release has it. What a newer one stored stays as it is, its version included.

        Raises:
            MigrationFailed: ``migrate`` raised, or gave something else than a JSON object.
        """
        if stored.version >= self.version:
            return stored
        body = stored.body if self.migrate is None else _migrated(self.migrate, stored)
        return stored._replace(body=body, version=self.version)


FIRST = Release()


def _migrated(migrate: Migrate, stored: Envelope) -> bytes:
    try:
        answer: object = migrate(json.loads(stored.body), stored.version)
    except Exception as error:  # noqa: BLE001 - a function of the application's may raise anything
        raise MigrationFailed(f"migrate raised {type(error).__name__}") from None  # its text may hold a value
    if not isinstance(answer, dict):
        raise MigrationFailed(f"migrate gave a {type(answer).__name__}, not a dict")
    try:
        return json.dumps(answer, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        raise MigrationFailed("migrate gave what JSON can't hold") from None


def release(version: int | None, migrate: Migrate | None) -> Release:
    """What ``SessionKit(model_version=..., migrate=...)`` say.

    Raises:
        ConfigurationError: they can't work.
    """
    if version is None and migrate is not None:
        raise ConfigurationError(
            "SessionKit(migrate=...) needs model_version=..., the release that it brings sessions up to: 2 for the first "
            "change, because what is stored without a version counts as 1"
        )
    if version is not None and (type(version) is not int or version < 1):
        raise ConfigurationError(f"SessionKit(model_version=...) is a whole number, 1 or more, not {version!r}")
    if migrate is not None:
        _require_migrate(migrate)
    return Release(version or 1, migrate)


def _require_migrate(migrate: object) -> None:
    how = "SessionKit(migrate=...) takes a plain function, def migrate(data, version), that gives a dict"
    if not callable(migrate):
        raise ConfigurationError(f"{how}, not {migrate!r}")
    call = getattr(migrate, "__call__", None)  # noqa: B004
    if any(is_one(each) for each in (migrate, call) for is_one in _OTHER_KINDS):
        raise ConfigurationError(f"{how}; {migrate!r} is async or a generator, and a session is read without awaiting")
    try:
        inspect.signature(migrate).bind({}, 1)
    except TypeError:
        raise ConfigurationError(f"{how}; {migrate!r} takes other arguments") from None
    except ValueError:  # it is written in C and does not say
        return


_OTHER_KINDS = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)
