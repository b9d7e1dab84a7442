from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.content.parsing import Parser, open_parser
from rag_core.database import Store
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from tests.support.pipeline import PipelineHarness
from tests.support.postgres import fast_folder


@pytest.fixture(scope="session")
def parser() -> Iterator[Parser]:
    opened = open_parser(Settings.load())
    yield opened
    opened.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    path = fast_folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def index(folder: Path) -> Iterator[EdgeIndex]:
    opened = EdgeIndex(folder)
    yield opened
    opened.close()


@pytest.fixture
def flow(store: Store, index: EdgeIndex, settings: Settings, parser: Parser) -> PipelineHarness:
    """A pipeline that has indexed eight documents of several chunks, two of them with a paragraph in common."""
    made = PipelineHarness(store, index, parser, settings)
    for number in range(8):
        body = "\n\n".join(f"Paragraph {part} of document {number}. " + "It has some words. " * 5 for part in range(4))
        made.connector.put(f"doc{number}.txt", f"{body}\n\nThis closing paragraph is the same in each. 结尾相同。")
    assert made.run().balanced
    return made
