"""One node with all images for all tests of this folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.images import load
from tests.cluster.node import Cluster, cluster, missing

_log = logging.getLogger("cluster")
logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a call


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, dict[str, str]]]:
    """The cluster, and the digests of the images that its node holds."""
    if why := missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("node")
    for path in [folder, *folder.parents]:  # containers run as other users, and pytest closes its folders
        if path.name.startswith("pytest-") or path == folder:
            path.chmod(0o755)
    began = time.monotonic()
    with cluster(folder) as running:
        _log.info("a node is ready, %.0f s", time.monotonic() - began)
        images = load(running, Path(folder))
        _log.info("the node has all images, %.0f s", time.monotonic() - began)
        yield running, images
