"""Fixtures of the pipeline: the real parser, the real engine on an empty folder, a harness over an empty source."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from rag_core import failpoints
from rag_core.content.parsing import Parser, open_parser
from rag_core.database import Store
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from tests.support.pipeline import PipelineHarness
from tests.support.postgres import fast_folder


@pytest.fixture(scope="session")
def parser() -> Iterator[Parser]:
    opened = open_parser(Settings(ocr="off"))
    yield opened
    opened.close()


@pytest.fixture
def index() -> Iterator[EdgeIndex]:
    """The real engine on an empty folder in memory."""
    folder = fast_folder()
    opened = EdgeIndex(folder)
    yield opened
    opened.close()
    shutil.rmtree(folder)


@pytest.fixture
def flow(store: Store, index: EdgeIndex, settings: Settings, parser: Parser) -> Iterator[PipelineHarness]:
    """A pipeline over an empty source in memory."""
    yield PipelineHarness(store, index, parser, settings)
    failpoints.arm(None)
