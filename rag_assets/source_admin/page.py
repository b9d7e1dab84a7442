"""A page of a document as a picture: the original is read where it is, drawn in the sandbox, and not kept."""

from __future__ import annotations

import base64
import uuid
from contextlib import closing
from typing import Any

from rag_assets.config import find_sources
from rag_assets.connectors import connector_context, open_connector
from rag_core.content.documents import PageSource, original_store
from rag_core.content.parsing import MAX_QUOTE_CHARS, Kind, PageImage, open_pages
from rag_core.content.sources import FetchedItem, Operation, SourceItem
from rag_core.errors import Conflict, InvalidInput, NotFound, RagError, Reason, Unavailable
from rag_core.ingestion.pipeline import Pipeline, content_hash
from rag_core.logging import get_logger

log = get_logger(__name__)


def draw_page(pipeline: Pipeline, operation: Operation) -> dict[str, Any]:
    """The picture of a page, with the cited text marked.

    Raises `NotFound` (`DOCUMENT_NOT_FOUND`, `ORIGINAL_NOT_FOUND`, `PAGE_NOT_FOUND`), `Conflict` (`ORIGINAL_CHANGED`),
    `InvalidInput` with what is wrong with the file, `Unavailable` while it cannot be read.
    """
    asked = operation.request
    start = int(asked["start"])
    end = min(int(asked["end"]), start + MAX_QUOTE_CHARS)
    with pipeline.store.engine.connect() as connection:
        found = original_store.find(connection, operation.tenant, uuid.UUID(asked["doc_id"]), start=start, end=end)
    if found is None:
        raise NotFound(Reason.DOCUMENT_NOT_FOUND, "document: not found")
    kind = Kind.PDF if found.media_type == Kind.PDF else Kind.IMAGE
    content = found.content if found.content is not None else _read(pipeline, found)
    with closing(open_pages(pipeline.settings)) as pages:
        try:
            image = pages.draw(content, kind=kind, page=int(asked["page"]), quote=found.quote)
        except InvalidInput as refused:
            if refused.reason is Reason.PAGE_NOT_FOUND:
                raise NotFound(refused.reason, refused.message) from None
            raise
    return describe_page(image)


def describe_page(image: PageImage) -> dict[str, Any]:
    """A picture as the row of its operation keeps it."""
    return image.header() | {"image": base64.b64encode(image.content).decode("ascii")}


def _read(pipeline: Pipeline, found: PageSource) -> bytes:
    """The original at its source, if it is still what was read."""
    item = SourceItem(found.locator, found.version_tag, found.size, None)
    try:
        raw = _fetch(pipeline, found, item)
    except NotFound:
        raise NotFound(
            Reason.ORIGINAL_NOT_FOUND, "the original of this document is no longer there; its text still is"
        ) from None
    except RagError as error:  # what it says of hosts and folders is for operators
        log.warning("original_not_read", source=found.source, document=str(found.doc_id), reason=error.reason)
        message = "the original cannot be read at its source now; try again later"
        raise Unavailable(Reason.SOURCE_UNAVAILABLE, message) from error
    if content_hash(raw) != found.content_hash:
        raise Conflict(
            Reason.ORIGINAL_CHANGED, "the original is newer than the text; try again once the source was read again"
        )
    return raw.content


def _fetch(pipeline: Pipeline, found: PageSource, item: SourceItem) -> FetchedItem:
    [config] = find_sources(pipeline.settings.effective_sources_dir, [found.source])
    if config.tenant != found.tenant:
        raise NotFound(Reason.SOURCE_NOT_FOUND, f"no source file defines {found.source!r}")
    context = connector_context(config, pipeline.settings, pipeline.store, remember=False)
    with open_connector(config, context) as connector:
        return connector.fetch(item)
