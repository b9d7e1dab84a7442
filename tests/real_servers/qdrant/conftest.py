"""A Qdrant server by URL. None can be started here: there is no package of it."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import pytest


@pytest.fixture(scope="session")
def qdrant_url() -> str:
    """Its gRPC address; its key is `RAG_TEST_QDRANT_KEY`."""
    url = os.environ.get("RAG_TEST_QDRANT_URL")
    if not url:
        pytest.skip("needs a Qdrant server: RAG_TEST_QDRANT_URL=http://host:6334, and its key in RAG_TEST_QDRANT_KEY")
    return url


@pytest.fixture(scope="session")
def qdrant_rest(qdrant_url: str) -> str:
    """Its address for REST."""
    parts = urlsplit(qdrant_url)
    return os.environ.get("RAG_TEST_QDRANT_REST_URL", f"{parts.scheme}://{parts.hostname}:6333")
