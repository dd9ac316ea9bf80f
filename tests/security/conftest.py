"""The files that the applications of the differential tests serve."""

from pathlib import Path

import pytest

from tests.security.differential import MARK


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    for name, text in {"public/open.txt": "open", "private/secret.txt": MARK, "private/a b.txt": MARK}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder
