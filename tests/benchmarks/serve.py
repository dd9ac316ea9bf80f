"""One application on one uvicorn worker: ``python -m tests.benchmarks.serve NAME PORT``."""

import logging
import sys
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from tests.benchmarks import apps

APPLICATIONS: dict[str, Callable[[], FastAPI]] = {
    "bare": apps.bare,
    "by hand": apps.by_hand,
    "unused": apps.unused,
    "role, cookie": apps.required,
    "role, memory": lambda: apps.required(in_memory=True),
    "gate, cookie": apps.gate,
}


def main(name: str, port: int) -> None:
    logging.getLogger("fastapi_sessionkit").setLevel(logging.ERROR)  # a Secure cookie over plain http, on purpose
    uvicorn.run(
        APPLICATIONS[name](),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
