"""One of several processes that raise the same counter: ``python raise_a_counter.py URL TABLE KEY TIMES``."""

import asyncio
import sys
from dataclasses import replace

from fastapi_sessionkit.stores.sql import SQLStore


async def main(url: str, table_name: str, key: str, times: int) -> None:
    store = SQLStore(url, table_name=table_name)
    raised = 0
    while raised < times:
        old = await store.get(key)
        if old is None:
            raise LookupError("The counter is gone.")
        new = replace(old, data=b"%d" % (int(old.data) + 1), version=old.version + 1)
        raised += await store.replace(key, new, version=old.version)
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
