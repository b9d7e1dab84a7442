"""The context of a connector: what the platform passes to it in addition to its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rag_core.http_client import FetchPolicy
from rag_core.sources import SourceMemory, TransientMemory

DEFAULT_MAX_FILE_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class ConnectorContext:
    """`max_file_bytes` is the platform's limit for one document, `fetch` what may be called, `memory` what is
    remembered from run to run; without one a connector remembers nothing. `home` is RAG_HOME, which no source reads."""

    max_file_bytes: int = DEFAULT_MAX_FILE_BYTES
    fetch_policy: FetchPolicy = field(default_factory=FetchPolicy)
    memory: SourceMemory = field(default_factory=TransientMemory)
    home: Path | None = None
