"""The store that docs/backends.md shows keeps the contract that it is to explain."""

from typing import Any

from fastapi_sessionkit.testing import SessionStoreContract
from tests.docs.pages import ROOT, blocks

SHOWN = [
    block.code
    for block in blocks((ROOT / "docs" / "backends.md").read_text(encoding="utf-8"))
    if "class DictStore:" in block.code
]


class TestStoreFromTheDocumentation(SessionStoreContract):
    async def make_store(self, clock: Any) -> Any:
        namespace: dict[str, Any] = {}
        exec(SHOWN[0], namespace)  # noqa: S102 (the repository's own documentation)
        return namespace["DictStore"](clock=clock)
