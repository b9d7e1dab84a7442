"""Read items: fetch sequentially, parse in parallel, deliver in listing order with bounded memory."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from rag_core import failpoints
from rag_core.content.parsing import Kind, ParsedDocument, Parser, promised_kind
from rag_core.content.quality import QualityPolicy, assess_text
from rag_core.content.sources import Connector, FetchedItem, FetchTask, Source, SourceItem
from rag_core.database import is_storable
from rag_core.errors import InvalidInput, NotFound, RagError, Reason
from rag_core.ids import fingerprint
from rag_core.logging import get_logger

log = get_logger(__name__)
_RULES = QualityPolicy()
WITHOUT_TEXT = frozenset({Reason.EMPTY_DOCUMENT, Reason.NO_TEXT, Reason.NEEDS_OCR})
"""Reasons for which a stored text is outdated: the source has none any more."""
_PICTURE_ONLY = WITHOUT_TEXT | {Reason.QUALITY_EMPTY}


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The result of reading one item. Exactly one of `document`, `same`, `vanished` and `failure` is set.

    `raw_acl` and `size` are set once the bytes were fetched, even when they could not be parsed.
    """

    task: FetchTask
    document: ParsedDocument | None = None
    same: bool = False
    vanished: bool = False
    failure: RagError | None = None
    stage: str = "parse"
    content_hash: bytes = b""
    size: int = 0
    raw_acl: tuple[str, ...] | None = None
    source_version: int | None = None
    """Set for an event; the higher version wins."""

    @property
    def left_out(self) -> bool:
        """Return whether the item is no document rather than a bad one: it has no bytes, is of a type that nothing
        reads, or is a picture without text.

        Folders, sites and repositories are full of them, and nobody can mend them. What is pushed, or was a document
        before, is meant to be one.
        """
        reason = self.failure.reason if self.failure is not None else None
        if reason is Reason.EMPTY_DOCUMENT:
            return True
        if self.task.live or self.source_version is not None:
            return False
        is_picture = promised_kind(self.task.locator) is Kind.IMAGE
        return reason is Reason.TYPE_UNSUPPORTED or (is_picture and reason in _PICTURE_ONLY)

    def preview(self) -> dict[str, str | int | float]:
        """A row of the table that the asset shows."""
        if self.failure is not None:
            outcome: str = self.failure.reason
        elif self.vanished:
            outcome = Reason.VANISHED
        else:
            outcome = "unchanged" if self.same else "updated" if self.task.live else "added"
        title = self.document.title if self.document is not None else ""
        return {"locator": self.task.locator, "outcome": outcome, "bytes": self.size, "title": title}


class Reader:
    """Fetches with the connector on the calling thread and parses on `workers` threads, each with a sandbox.

    At most `8 * workers` items, and about `max_bytes` of raw content, are in memory at once: enough to keep the
    sandboxes busy while earlier items are committed.
    """

    def __init__(
        self,
        connector: Connector,
        parser: Parser,
        *,
        parser_fingerprint: str,
        workers: int,
        max_bytes: int,
        quality: QualityPolicy = _RULES,
    ) -> None:
        self._quality = quality
        self._connector = connector
        self._parser = parser
        self._parser_fingerprint = parser_fingerprint
        self._workers = workers
        self._max_bytes = max_bytes

    def read(self, items: Iterable[FetchTask]) -> Generator[ReadResult, None, None]:
        """Read every item; a failure is a result, never an exception. Closing it waits for items in progress."""
        waiting: deque[tuple[Future[ReadResult], int]] = deque()
        held = 0
        with ThreadPoolExecutor(self._workers, thread_name_prefix="parse") as pool:
            for item in items:
                future, size = self._submit(pool, item)
                waiting.append((future, size))
                held += size
                while waiting and (waiting[0][0].done() or self._is_full(len(waiting), held)):
                    done, freed = waiting.popleft()
                    held -= freed
                    yield done.result()
            while waiting:
                yield waiting.popleft()[0].result()

    def _is_full(self, items: int, size: int) -> bool:
        return items > 8 * self._workers or size > self._max_bytes

    def _submit(self, pool: ThreadPoolExecutor, task: FetchTask) -> tuple[Future[ReadResult], int]:
        item = SourceItem(task.locator, task.token, task.size, task.modified_at)
        try:
            raw = self._connector.fetch(item)
        except NotFound:
            return _done(ReadResult(task, vanished=True)), 0
        except RagError as error:
            return _done(ReadResult(task, failure=error, stage="fetch")), 0
        failpoints.reach("after_fetch")
        reading = pool.submit(read_bytes, self._parser, self._parser_fingerprint, task, raw, quality=self._quality)
        return reading, len(raw.content)


def parser_fingerprint(parser: Parser, source: Source) -> str:
    """A fingerprint that changes when the same bytes would be parsed or assessed differently.

    Items are then read again. The metadata and quality rules of the source are part of it, as the parser is.
    """
    return fingerprint(parser.fingerprint, sorted(source.metadata.items()), source.quality.fingerprint)


def read_bytes(
    parser: Parser,
    parser_fingerprint: str,
    task: FetchTask,
    raw: FetchedItem,
    source_version: int | None = None,
    *,
    quality: QualityPolicy = _RULES,
) -> ReadResult:
    """Parse fetched bytes unless they are unchanged. A failure is a result, never an exception."""
    found_hash = content_hash(raw)
    known = {
        "content_hash": found_hash,
        "size": len(raw.content),
        "raw_acl": raw.acl,
        "source_version": source_version,
    }
    if task.live and task.content_hash == found_hash and task.parsed_as == parser_fingerprint:
        return ReadResult(task, same=True, **known)  # type: ignore[arg-type]
    try:
        document = _checked(parser.parse(raw), quality)
    except RagError as error:
        return ReadResult(task, failure=error, **known)  # type: ignore[arg-type]
    except Exception:
        # A defect in a parser must fail one document, not the run.
        log.exception("parser_defect", document=str(task.doc_id))
        failure = InvalidInput(Reason.PARSE_FAILED, "the parser failed on this document; the log has the details")
        return ReadResult(task, failure=failure, **known)  # type: ignore[arg-type]
    return ReadResult(task, document=document, **known)  # type: ignore[arg-type]


def _checked(document: ParsedDocument, quality: QualityPolicy) -> ParsedDocument:
    texts = (document.text, document.title, document.language, document.media_type, *document.flags)
    pairs = (part for pair in document.metadata.items() for part in pair)
    if not all(is_storable(text) for text in (*texts, *pairs)):
        raise InvalidInput(Reason.PARSE_FAILED, "the extracted text has characters that cannot be stored")
    if not document.text.strip():
        raise InvalidInput(Reason.NO_TEXT, "the document has no text")
    failure, warnings = assess_text(
        document.text, document.title, quality, confidence=document.metadata.get("ocr_confidence")
    )
    if failure is not None:
        raise InvalidInput(failure.rule.reason or Reason.QUALITY_GARBAGE, failure.message)
    return replace(document, flags=document.flags | {found.flag for found in warnings}) if warnings else document


def content_hash(raw: FetchedItem) -> bytes:
    """SHA-256 of the bytes and of what the connector said of them."""
    digest = hashlib.sha256(raw.content)
    # What the connector reports about the bytes is an input of the parser too.
    said = [raw.media_type or "", raw.title or "", *(part for pair in sorted(raw.metadata.items()) for part in pair)]
    if any(said):
        digest.update("\x1f".join(said).encode("utf-8", "surrogatepass"))
    return digest.digest()


def _done(outcome: ReadResult) -> Future[ReadResult]:
    future: Future[ReadResult] = Future()
    future.set_result(outcome)
    return future
