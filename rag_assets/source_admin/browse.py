"""Show what there is at a source to select from, before its options are complete."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rag_assets.connectors import connector_context
from rag_assets.connectors.kinds import find_kind, require_libraries
from rag_assets.source_config import SourceConfig
from rag_core.errors import InvalidInput, Reason
from rag_core.settings import Settings


def browse_source(config: SourceConfig, settings: Settings) -> dict[str, Any]:
    """Folders, tables and columns, or fields of an answer: read through the context that a run has, so that the same
    is refused.

    Raises `InvalidInput` (`FIELD_INVALID`) for a kind that cannot be browsed, and what reading raises.
    """
    name = config.options.kind
    kind = find_kind(name)
    if kind.browse is None:
        raise InvalidInput(Reason.FIELD_INVALID, f"action: sources of kind {name} cannot be browsed")
    require_libraries(name, kind)
    return asdict(kind.browse.read(config.options, connector_context(config, settings)))
