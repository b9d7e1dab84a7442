"""The bundled model's derived files, built once per machine and shared by all workers and runs of the tests."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from rag_core.content.embedding import prepare_model
from rag_core.settings import Settings


def prepared_home() -> Path:
    """A RAG_HOME that has the model files; safe to share, they are only ever read."""
    home = Path(tempfile.gettempdir()) / f"rag-test-models-{os.getuid()}"
    prepare_model(Settings(home=home))
    return home


@pytest.fixture(scope="session")
def model_home() -> Path:
    return prepared_home()


@pytest.fixture(scope="session")
def model_dir(model_home: Path) -> Path:
    return Settings(home=model_home).model_dir
