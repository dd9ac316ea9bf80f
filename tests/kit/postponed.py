"""Routes whose annotations are text, as ``from __future__ import annotations`` makes them."""

from typing import Annotated, Any, Optional

from fastapi import Depends, FastAPI

from fastapi_sessionkit import Session, SessionKit, require_session

Current = Annotated[Session, Depends(require_session)]


def add_routes(app: FastAPI, name: str, kit: SessionKit[Any]) -> None:
    """Add one route, whose names only this function has, except in the last three."""
    Local = Annotated[Session, Depends(kit.require_session)]  # noqa: N806
    Admin = kit.require_role("admin")  # noqa: N806

    async def alias(session: "Local") -> None: ...
    async def depends(session: "Annotated[Session, Depends(kit.require_session)]") -> None: ...
    async def optional(session: "Local" = None) -> None: ...  # type: ignore[assignment]
    async def guard(_: "Annotated[Any, Depends(Admin)]" = None) -> None: ...
    async def quoted_inside(session: Optional["Local"] = None) -> None: ...
    async def annotated_inside(session: Annotated["Local", "a note"]) -> None: ...
    async def of_the_module(session: "Current") -> None: ...
    async def not_quoted(session: Local) -> None: ...
    async def plain(page: "int" = 1, word: "Annotated[str, 'a note']" = "") -> None: ...

    app.get("/ask")(locals()[name])


def add_dependency(app: FastAPI, kit: SessionKit[Any]) -> None:
    Local = Annotated[Session, Depends(kit.require_session)]  # noqa: N806

    async def asks(session: "Local" = None) -> None: ...  # type: ignore[assignment]

    app.get("/ask", dependencies=[Depends(asks)])(lambda: None)
