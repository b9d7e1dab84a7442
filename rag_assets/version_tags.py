"""Version tags of sources as run tags. Imports no Dagster, so that the command line can compare them."""

from __future__ import annotations

from rag_core.content.sources import Connector
from rag_core.errors import RagError
from rag_core.ids import fingerprint

TOKEN_TAG = ".dagster/rag_version_tag"  # noqa: S105
"""Dagster's prefix for tags that it does not show: on every row of the list of runs a hash says nothing to people."""
SYNC_TAG = "rag/sync"
"""The source (its key) of a run that `rag source sync` or the console asked for. Backfills over shards pass it on."""
LISTING_TAG, CHANGES = "rag/listing", "changes"
"""A run with this tag may list only what changed. Scheduled runs and those an operator starts list everything."""


def current_version_tag(connector: Connector) -> str:
    """The connector's version tag in a form that fits a run tag. A source that cannot be reached has one too: the run
    that it starts fails with the reason, where alerts see it."""
    try:
        return fingerprint(connector.version_tag())
    except RagError as error:
        return unavailable(error)


def unavailable(error: Exception) -> str:
    """The version tag of a source that cannot be read, or not even opened, because of `error`."""
    return fingerprint("unavailable", error.reason if isinstance(error, RagError) else type(error).__name__)
