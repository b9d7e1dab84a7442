"""Documents whose text is in pictures: which pages are recognized, and how they become one text."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.blocks import Block
from rag_core.content.parsing.builder import MAX_METADATA_CHARS
from rag_core.content.parsing.detect import Kind, image_type
from rag_core.content.parsing.sandbox.pool import SandboxPool
from rag_core.errors import InvalidInput, Reason
from rag_core.ids import fingerprint
from rag_core.packages import package_missing

if TYPE_CHECKING:
    from rag_core.settings import Settings

OCR_VERSION: Final = 2
"""Raise it with every change that makes the same picture give another document."""
FLAG: Final = "ocr"
INCOMPLETE_FLAG: Final = "ocr_incomplete"
COUNT: Final = -1
"""In place of a page: how many there are."""
_SEPARATOR: Final = "\n\n"
_PAGE_FAILURES: Final = frozenset(
    {Reason.PARSER_TIMEOUT, Reason.PARSER_OOM, Reason.PARSER_CRASHED, Reason.PARSE_FAILED, Reason.IMAGE_BOMB}
)


@dataclass(frozen=True, slots=True)
class OcrLimits:
    """Bounds on recognition: pages and seconds of a document, seconds of a page."""

    pages: int = 200
    document_seconds: float = 900
    page_seconds: float = 60


class OcrReader:
    """Recognizes pages without a text layer, each in its own request to a sandbox. Thread-safe."""

    def __init__(self, sandbox: SandboxPool, limits: OcrLimits, *, language: str, defers: bool = False) -> None:
        """With `defers` a document that needs recognition ends with `PARSER_TIMEOUT`: somebody else has the time."""
        self._sandbox, self._limits, self._language, self._defers = sandbox, limits, language, defers

    @property
    def fingerprint(self) -> str:
        """Changes when the same picture could give another text."""
        return fingerprint("ocr", OCR_VERSION, version("rapidocr"), self._language, self._limits.pages)

    def can_read(self, kind: Kind) -> bool:
        """Return whether documents of this kind can hold text in pictures."""
        return kind in (Kind.PDF, Kind.IMAGE)

    def complete(
        self, content: bytes, kind: Kind, name: str, limits: ParseLimits, found: ParsedDocument | InvalidInput
    ) -> ParsedDocument:
        """The document with the text of the pages that had none. `found` is what the parser made of it.

        Raises `found` when it is an error that recognition cannot help, and `InvalidInput` of the first page when no
        page can be read.
        """
        if isinstance(found, InvalidInput):
            if kind is Kind.PDF and found.reason is not Reason.NEEDS_OCR:
                raise found
            return self._recognized(content, kind, name, limits)
        if kind is not Kind.PDF:
            return found
        missing = [_number(page) for page in found.metadata.get("pages_without_text", "").split()]
        return self._merged(content, kind, name, limits, found, missing) if missing else found

    def close(self) -> None:
        """End the sandbox processes. Idempotent."""
        self._sandbox.close()

    def _recognized(self, content: bytes, kind: Kind, name: str, limits: ParseLimits) -> ParsedDocument:
        self._require_time()
        counted = self._ask(content, kind, name, limits, COUNT)
        pages = _number(counted.metadata.get("pages", ""))
        media_type = image_type(content) if kind is Kind.IMAGE else str(kind)
        empty = ParsedDocument("", media_type, metadata={"pages": str(pages)})
        document = self._merged(content, kind, name, limits, empty, range(1, pages + 1))
        if not document.text:
            raise InvalidInput(Reason.NO_TEXT, "no text was recognized in it")
        return document

    def _merged(
        self,
        content: bytes,
        kind: Kind,
        name: str,
        limits: ParseLimits,
        document: ParsedDocument,
        missing: Sequence[int],
    ) -> ParsedDocument:
        self._require_time()
        until = time.monotonic() + self._limits.document_seconds
        read: dict[int, ParsedDocument] = {}
        failure: InvalidInput | None = None
        failed, left = 0, 0
        for number, page in enumerate(missing):
            if number >= self._limits.pages or time.monotonic() > until:
                left = len(missing) - number
                break
            try:
                found = self._ask(content, kind, name, limits, page)
            except InvalidInput as error:
                if error.reason not in _PAGE_FAILURES:
                    raise
                failure, failed = failure or error, failed + 1
                continue
            if found.text:
                read[page] = found
        if not read:
            if failure is not None and not document.text:
                raise failure
            return document
        made = _joined(document, read, limits)
        marks = {"ocr_pages_failed": failed, "ocr_pages_left": left}
        said = {key: str(count) for key, count in marks.items() if count}
        flags = {FLAG, *([INCOMPLETE_FLAG] if said else [])}
        return replace(made, metadata={**made.metadata, **said}, flags=made.flags | flags)

    def _require_time(self) -> None:
        if self._defers:
            raise InvalidInput(Reason.PARSER_TIMEOUT, "the document has pictures of text, which take longer to read")

    def _ask(self, content: bytes, kind: Kind, name: str, limits: ParseLimits, page: int) -> ParsedDocument:
        return self._sandbox.recognize(
            content, kind=kind, name=name, page=page, language=self._language, limits=limits,
            seconds=self._limits.page_seconds,
        )  # fmt: skip


def _number(said: str) -> int:
    """A number that a sandbox said, which is not to be trusted."""
    if not (said.isascii() and said.isdecimal() and len(said) < 8):
        raise InvalidInput(Reason.PARSE_FAILED, "the number of its pages cannot be read")
    return int(said)


def _joined(document: ParsedDocument, read: dict[int, ParsedDocument], limits: ParseLimits) -> ParsedDocument:
    """The pages of both in their order, with the confidence of each block: `-` where it was text before."""
    texts: list[str] = []
    blocks: list[Block] = []
    confidence: list[str] = []
    position, weight, sum_of_scores = 0, 0, 0.0
    for text, own, scores in _pages(document, read):
        start = position + (len(_SEPARATOR) if texts else 0)
        blocks += [_moved(block, start) for block in own]
        texts.append(text)
        position = start + len(text)
        confidence += scores
        for block, score in zip(own, scores, strict=True):
            if score != "-":
                weight += block.end - block.start
                sum_of_scores += int(score) * (block.end - block.start)
    if position > limits.max_text_chars or len(blocks) > limits.max_blocks:
        raise InvalidInput(
            Reason.TEXT_TOO_LARGE, f"the text is longer than {limits.max_text_chars} characters; split it"
        )
    by_block = " ".join(confidence)
    said = {
        "ocr_pages": str(len(read)),
        "ocr_confidence": f"{sum_of_scores / max(weight, 1) / 100:.2f}",
        "ocr_confidence_by_block": by_block
        if len(by_block) <= MAX_METADATA_CHARS
        else by_block[:MAX_METADATA_CHARS].rpartition(" ")[0],
    }
    heading = next((block for block in blocks if block.level), None)
    text = _SEPARATOR.join(texts)
    title = document.title or (" ".join(text[heading.start : heading.end].split())[:300] if heading else "")
    return replace(document, text=text, blocks=tuple(blocks), title=title, metadata={**document.metadata, **said})


def _pages(document: ParsedDocument, read: dict[int, ParsedDocument]) -> Iterator[tuple[str, list[Block], list[str]]]:
    """Text, blocks from 0 and confidences of each stretch, in the order of pages."""
    waiting = sorted(read)
    stretch: list[Block] = []
    for block in document.blocks:
        while waiting and waiting[0] < block.page:
            if stretch:
                yield _stretch(document, stretch)
                stretch = []
            yield _page(read[waiting.pop(0)])
        stretch.append(block)
    if stretch:
        yield _stretch(document, stretch)
    for page in waiting:
        yield _page(read[page])


def _stretch(document: ParsedDocument, blocks: list[Block]) -> tuple[str, list[Block], list[str]]:
    start, end = blocks[0].start, blocks[-1].end
    return document.text[start:end], [_moved(block, -start) for block in blocks], ["-"] * len(blocks)


def _page(found: ParsedDocument) -> tuple[str, list[Block], list[str]]:
    scores = found.metadata.get("ocr_blocks", "").split()
    blocks = list(found.blocks)
    usable = len(scores) == len(blocks) and all(score.isdecimal() and len(score) <= 3 for score in scores)
    return found.text, blocks, scores if usable else ["0"] * len(blocks)


def _moved(block: Block, by: int) -> Block:
    parts = tuple(replace(part, start=part.start + by, end=part.end + by) for part in block.parts)
    return replace(block, start=block.start + by, end=block.end + by, parts=parts)


def open_ocr(settings: Settings, *, defers: bool = False) -> OcrReader | None:
    """The reader as configured; `None` when it is off, or not installed and not asked for.

    Raises `ConfigError` (`PACKAGE_MISSING`) when it is asked for and not installed.
    """
    if settings.ocr == "off":
        return None
    if importlib.util.find_spec("rapidocr") is None:
        if settings.ocr == "on":
            raise package_missing("rapidocr")
        return None
    limits = OcrLimits(settings.ocr_max_pages, settings.ocr_document_seconds, settings.ocr_page_seconds)
    pool = SandboxPool(
        workers=settings.ocr_workers, memory_mb=settings.ocr_memory_mb, timeout_seconds=settings.ocr_page_seconds
    )
    return OcrReader(pool, limits, language=settings.ocr_language, defers=defers)
