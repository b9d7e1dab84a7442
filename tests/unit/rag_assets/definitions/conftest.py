from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_assets.source_config import SourceConfig

Attributes = dict[str, Any]
WriteSource = Callable[..., Path]


@pytest.fixture
def sources_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    return folder


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


@pytest.fixture
def attributes(docs: Path) -> Attributes:
    """The smallest valid source."""
    options = {"kind": "folder", "root": str(docs)}
    return {"name": "handbook", "tenant": "acme", "acl": ["everyone"], "options": options}


@pytest.fixture
def config(attributes: Attributes) -> SourceConfig:
    return SourceConfig.model_validate(attributes)


@pytest.fixture
def write_source(sources_dir: Path, attributes: Attributes) -> WriteSource:
    """Write a source file; keywords replace attributes, `None` removes one."""

    def write(file: str = "handbook.yaml", **changes: Any) -> Path:
        merged = {key: value for key, value in {**attributes, **changes}.items() if value is not None}
        path = sources_dir / file
        path.write_text(yaml.safe_dump({"type": "rag_assets.components.DocumentSource", "attributes": merged}))
        return path

    return write
