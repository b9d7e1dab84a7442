"""A real OpenAI-compatible server: that of `RAG_TEST_CHAT_URL`, or llama.cpp with a small model."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.chat_server import LlamaServer, llama_server


@pytest.fixture(scope="session")
def chat_server() -> Iterator[LlamaServer]:
    """`RAG_TEST_CHAT_URL=http://host:port/v1` is a llama.cpp server with `--slots`, its key in `RAG_TEST_CHAT_KEY`."""
    if given := os.environ.get("RAG_TEST_CHAT_URL"):
        yield LlamaServer(given, os.environ.get("RAG_TEST_CHAT_KEY", ""), os.environ.get("RAG_TEST_CHAT_MODEL", "m"))
        return
    with llama_server() as server:
        yield server
