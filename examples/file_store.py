"""A session store of one's own, complete: one JSON file a session, in a folder.

What it shows is how to keep the promises of ``SessionStore``, in the plainest engine there is:

- ``create`` never overwrites, ``replace`` never creates and compares the version first: each under a lock, because
  between looking and writing another task, thread or process could write as well.
- A file is written beside its place and then moved there, so a reader finds the old record or the new one, whole.
- What blocks runs in a thread, and holds the lock in there: a request that is cancelled lets go of nothing half-done.
- Unknown, expired and outdated are answers. A full disk is an error: it is raised, and becomes a 503.

``tests/examples/test_example_file_store.py`` proves it with ``SessionStoreContract``, in three lines.

For a few hundred sessions on one machine: finding a user's sessions reads every file, and there is one lock for all.
``SQLStore`` on SQLite is as easy to run and has neither limit. Needs ``fcntl``, so not for Windows.

    kit = SessionKit(AppSession, backend=FileStore("sessions"))
"""

import asyncio
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from fastapi_sessionkit import SessionRecord

Found = tuple[str, SessionRecord]


class FileStore:
    """Keeps each record in ``<folder>/<key>.json``. Several processes of one machine may share the folder.

    The files hold what sessions hold, so only the process' own user may read them. They are not forced to the disk: a
    power cut may undo what was acknowledged in the last seconds, a sign-out among it.
    """

    def __init__(self, folder: str | Path, clock: Callable[[], float] | None = None) -> None:
        self.clock = clock
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def use_clock(self, clock: Callable[[], float]) -> None:  # the kit gives its own
        self.clock = self.clock or clock

    async def get(self, key: str) -> SessionRecord | None:
        return await asyncio.to_thread(self._alive, key)

    async def create(self, key: str, record: SessionRecord) -> bool:
        return await asyncio.to_thread(self._create, key, record)

    async def replace(self, key: str, record: SessionRecord, *, version: int) -> bool:
        return await asyncio.to_thread(self._replace, key, record, version)

    async def touch(self, key: str, *, last_seen_at: float, expires_at: float) -> bool:
        return await asyncio.to_thread(self._touch, key, last_seen_at, expires_at)

    async def delete(self, key: str) -> bool:
        return await asyncio.to_thread(self._delete, key)

    async def list_user(self, user_id: str) -> list[Found]:
        return await asyncio.to_thread(self._list_user, user_id)

    async def delete_user(self, user_id: str, *, keep: Collection[str] = ()) -> int:
        return await asyncio.to_thread(self._delete_user, user_id, set(keep))

    async def purge(self) -> int:
        return await asyncio.to_thread(self._purge)

    async def aclose(self) -> None:
        """Nothing stays open between calls."""

    # In a thread

    def _create(self, key: str, record: SessionRecord) -> bool:
        with self._locked():
            if self._alive(key) is not None:
                return False
            self._write(key, record)
            return True

    def _replace(self, key: str, record: SessionRecord, version: int) -> bool:
        with self._locked():
            current = self._alive(key)
            if current is None or current.version != version:
                return False
            self._write(key, record)
            return True

    def _touch(self, key: str, last_seen_at: float, expires_at: float) -> bool:
        with self._locked():
            current = self._alive(key)
            if current is None or current.successor is not None:
                return False
            seen, until = max(current.last_seen_at, last_seen_at), max(current.expires_at, expires_at)
            self._write(key, replace(current, last_seen_at=seen, expires_at=until))
            return True

    def _delete(self, key: str) -> bool:
        with self._locked():
            alive = self._alive(key) is not None
            self._path(key).unlink(missing_ok=True)
            return alive

    def _list_user(self, user_id: str) -> list[Found]:
        with self._locked():  # a session that moves to a new key meanwhile must be seen under one of the two
            mine = [(key, record) for key, record in self._all() if record.user_id == user_id]
        sessions = [found for found in mine if self._counts(found[1])]
        return sorted(sessions, key=lambda found: (found[1].created_at, found[0]))

    def _delete_user(self, user_id: str, keep: set[str]) -> int:
        with self._locked():
            ended = [(key, record) for key, record in self._all() if record.user_id == user_id and key not in keep]
            for key, _ in ended:
                self._path(key).unlink()
            return sum(self._counts(record) for _, record in ended)

    def _purge(self) -> int:
        with self._locked():
            expired = [key for key, record in self._all() if record.expires_at <= self._now()]
            for key in expired:
                self._path(key).unlink()
            return len(expired)

    # Files

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all threads and processes. The lock goes with the open file, so a killed process leaves none."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _all(self) -> Iterator[Found]:
        for path in self.folder.glob("*.json"):
            record = self._read(path)
            if record is not None:
                yield path.stem, record

    def _alive(self, key: str) -> SessionRecord | None:
        record = self._read(self._path(key))
        return record if record is not None and record.expires_at > self._now() else None

    def _counts(self, record: SessionRecord) -> bool:
        """A live session, and not what a rotated id left behind."""
        return record.expires_at > self._now() and record.successor is None

    def _read(self, path: Path) -> SessionRecord | None:
        try:
            fields = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        return SessionRecord(**{**fields, "data": fields["data"].encode()})

    def _write(self, key: str, record: SessionRecord) -> None:
        descriptor, name = tempfile.mkstemp(dir=self.folder)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, which Path can't open
                json.dump({**asdict(record), "data": record.data.decode()}, file)
            os.replace(name, self._path(key))  # noqa: PTH105 - the name is mkstemp's
        except BaseException:
            Path(name).unlink()
            raise

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"  # 64 hexadecimal digits: nothing that a client wrote

    def _now(self) -> float:
        return (self.clock or time.time)()
