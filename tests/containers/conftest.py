"""The engine and the images, built once for all tests of containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.engine import build, engine, missing


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Path]]:
    """The environment that reaches an engine which holds the images, and a folder that containers may read."""
    why = missing()
    if why:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("containers")
    for path in [folder, *folder.parents]:  # containers run as another user, and pytest closes its folders
        if path.name.startswith("pytest-") or path == folder:
            path.chmod(0o755)
    with engine(folder) as environment:
        build(environment, folder)
        yield environment, folder
