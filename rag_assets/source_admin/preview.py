"""Test a source's connection, and read its first items as a run would: fetch, parse, chunk. Nothing is stored."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from rag_assets.connectors import connector_context, open_connector
from rag_assets.source_config import SourceConfig
from rag_core.content.chunking import open_chunker
from rag_core.content.parsing import ParsedDocument, open_parser
from rag_core.content.sources import Connector, FetchTask, Problem, SourceItem
from rag_core.database import Store
from rag_core.errors import InvalidInput, RagError, Reason, Unavailable
from rag_core.governance.access import DENY, is_source_name
from rag_core.governance.directories import token_entries
from rag_core.ingestion.pipeline import parser_fingerprint, read_bytes
from rag_core.settings import Settings

PREVIEW_ITEMS = 20
CHUNKS = 3
MAX_CHUNK_CHARS = 700
MAX_LABEL_CHARS = 300
_LISTED = 2_000
"""Entries of a listing that are counted at most."""


def check_source(config: SourceConfig, settings: Settings) -> dict[str, Any]:
    """Connect and describe a sample: `ok`, `items`, `more`, `sample`, `problems`; `reason` and `message` of a failure.

    Never raises for what the source answers.
    """
    try:
        require_folder(config)
        with open_connector(config, connector_context(config, settings)) as connector:
            found = connector.check()
    except RagError as error:
        return {"ok": False, "items": 0, "reason": str(error.reason), "message": error.message}
    reason, message = _split(str(found.get("error") or ""))
    return {
        "ok": bool(found["ok"]),
        "items": int(found["items"]),
        "more": bool(found.get("more")),
        "sample": [_label(str(item)) for item in found["sample"]],
        "problems": [_label(str(problem)) for problem in found.get("problems", ())],
        "reason": "" if found["ok"] else reason,
        "message": _label(message),
    }


def require_folder(config: SourceConfig) -> None:
    """Raise `InvalidInput` (`SOURCE_UNAVAILABLE`) at once for a folder or file of this machine that does not exist."""
    needed = config.options.needed_path()
    if needed is None:
        return
    path, what = needed
    place = Path(path)
    if not (place.is_dir() if what == "folder" else place.is_file()):
        said = f"there is no {what} {path} here, or the platform may not read it; a container sees only what is mounted"
        raise InvalidInput(Reason.SOURCE_UNAVAILABLE, said)


def require_readable(config: SourceConfig, check: Mapping[str, Any] | None, hint: str = "") -> None:
    """Raise `InvalidInput` when a check found that the source cannot be read, and always for a missing folder.

    No check: whether it can be read does not matter. `hint` follows the message.
    """
    require_folder(config)
    if check is None or check["ok"]:
        return
    reason = Reason(check["reason"]) if check["reason"] in Reason.__members__ else Reason.SOURCE_UNAVAILABLE
    raise InvalidInput(reason, (check["message"] or "the source cannot be read") + hint)


def preview_source(
    config: SourceConfig, settings: Settings, *, seconds: float, store: Store | None = None
) -> dict[str, Any]:
    """The first items with what parses and what does not, and chunks of the first documents.

    `listed` counts the entries that were seen, `more` says that there are others; after `seconds` it ends with what it
    has. Readers that a directory in `store` knows are named as tokens name them. Raises what listing raises.
    """
    require_folder(config)
    until = time.monotonic() + seconds
    with (
        open_connector(_narrowed(config), connector_context(config, settings)) as connector,
        closing(open_parser(settings)) as parser,
    ):
        fingerprint = parser_fingerprint(parser, config.source)
        entries, more, error = _entries(connector, until, deep=config.options.counts_in_preview)
        items: list[dict[str, Any]] = []
        documents: list[ParsedDocument] = []
        for entry in entries[:PREVIEW_ITEMS]:
            if isinstance(entry, Problem):
                items.append(_of_problem(entry))
                continue
            if time.monotonic() > until:
                break
            items.append(_read(connector, parser, fingerprint, config, entry, documents))
    if store is not None:
        _name_readers(items, config.tenant, store)
    reason, message = _split(error or "")
    return {
        "items": items,
        "listed": len(entries),
        "more": more,
        "chunks": _chunks(documents, settings),
        "reason": reason if error else "",
        "message": _label(message),
    }


def _narrowed(config: SourceConfig) -> SourceConfig:
    return config.model_copy(update={"options": config.options.for_preview()})


def _entries(connector: Connector, until: float, *, deep: bool) -> tuple[list[SourceItem | Problem], bool, str | None]:
    listing = connector.list_items()
    most = _LISTED if deep else PREVIEW_ITEMS
    entries: list[SourceItem | Problem] = []
    for entry in listing:
        if len(entries) >= most or (time.monotonic() > until and entries):
            return entries, True, None
        entries.append(entry)
    # A crawl that stops at the pages of a preview is not a fault of the source.
    cut = listing.error is not None and str(Reason.CRAWL_BUDGET) in listing.error
    return entries, cut, None if cut else listing.error


def _read(
    connector: Connector,
    parser: Any,
    fingerprint: str,
    config: SourceConfig,
    item: SourceItem,
    documents: list[ParsedDocument],
) -> dict[str, Any]:
    row: dict[str, Any] = {"locator": _label(item.locator), "size": item.size or 0}
    try:
        raw = connector.fetch(item)
    except RagError as error:
        return row | _refused(error)
    row["size"] = len(raw.content)
    read = read_bytes(parser, fingerprint, _unknown(item), raw, quality=config.source.quality)
    if read.document is None:
        refused = _refused(read.failure or Unavailable(Reason.VANISHED, "the item is gone"))
        return row | refused | {"skipped": read.left_out}
    document = read.document
    if len(documents) < CHUNKS:
        documents.append(document)
    return row | {
        "title": _label(document.title),
        "media_type": document.media_type,
        "ok": True,
        "chars": len(document.text),
        "acl": list(raw.acl) if raw.acl is not None else list(config.acl or ()),
    }


def _name_readers(items: list[dict[str, Any]], tenant: str, store: Store) -> None:
    """Put what tokens call them in the place of the names that sources have for readers.

    Of an ACL that refuses a name which no directory knows only such names stay: nobody finds the document.
    """
    rows = [item for item in items if any(map(is_source_name, item.get("acl", ())))]
    names = {entry.removeprefix(DENY) for row in rows for entry in row["acl"]}
    if not names:
        return
    with store.engine.connect() as connection:
        known = token_entries(connection, tenant, names)
    for row in rows:
        named = {entry: known.get(entry.removeprefix(DENY), entry.removeprefix(DENY)) for entry in row["acl"]}
        refusing = [entry for entry in named if entry.startswith(DENY) and is_source_name(named[entry])]
        row["acl"] = refusing or [f"{DENY}{name}" if entry.startswith(DENY) else name for entry, name in named.items()]


def count_readers(items: Iterable[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Return for how many items of a preview each ACL counts, the most frequent first."""
    counted = Counter(", ".join(item["acl"]) for item in items if item.get("ok"))
    return counted.most_common()


def _unknown(item: SourceItem) -> FetchTask:
    """An item of which nothing is stored."""
    return FetchTask(
        position=0, locator=item.locator, token=item.version_tag, size=item.size, modified_at=item.modified_at,
        doc_id=None, version=0, live=False, known_token="", parsed_as="", content_hash=b"", acl=None,
        acl_inherited=False, mine=False,
    )  # fmt: skip


def _chunks(documents: list[ParsedDocument], settings: Settings) -> list[dict[str, Any]]:
    """The first chunks of the first documents, so that one long preface is not all that is shown."""
    if not documents:
        return []
    chunker = open_chunker(settings)
    found: list[list[dict[str, Any]]] = []
    for document in documents:
        try:
            chunks = chunker.chunk(uuid.uuid4(), document)[:CHUNKS]
        except RagError:
            continue
        shown = [
            {
                "title": _label(document.title),
                "headings": [_label(heading) for heading in chunk.headings],
                "text": document.text[chunk.start : chunk.end][:MAX_CHUNK_CHARS],
                "tokens": chunk.tokens,
            }
            for chunk in chunks
        ]
        found.append(shown)
    in_turn = [row[place] for place in range(CHUNKS) for row in found if place < len(row)]
    return in_turn[:CHUNKS]


def _of_problem(problem: Problem) -> dict[str, Any]:
    return {
        "locator": _label(problem.locator), "reason": problem.reason, "message": _label(problem.message),
        "skipped": problem.skipped,
    }  # fmt: skip


def _refused(error: RagError) -> dict[str, Any]:
    return {"ok": False, "reason": str(error.reason), "message": _label(error.message)}


def _split(text: str) -> tuple[str, str]:
    """Reason code and text of an error that is written as `CODE: text`."""
    code, _, rest = text.partition(": ")
    if code in Reason.__members__:
        return code, rest
    return (str(Reason.SOURCE_UNAVAILABLE), text) if text else ("", "")


def _label(text: str) -> str:
    """A line of foreign text, without control characters and of bounded length."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return plain if len(plain) <= MAX_LABEL_CHARS else f"{plain[: MAX_LABEL_CHARS - 1]}…"
