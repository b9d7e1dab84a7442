"""Recognize rendered pages through the parser as configured, and compare with what was rendered."""

from __future__ import annotations

import resource
import time
from contextlib import closing
from pathlib import Path
from statistics import median

from benchmarks.ocr.pages import DEGRADED, degraded, render, texts
from benchmarks.report import Cell, Progress, Report, Table
from rag_core.content.parsing import Parser, open_parser
from rag_core.content.sources import FetchedItem, SourceItem
from rag_core.errors import InvalidInput, RagError, Reason
from rag_core.settings import Settings

_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
)


def run(settings: Settings, *, pages: int, font: Path | None, languages: tuple[str, ...], progress: Progress) -> Report:
    """Raises `InvalidInput` (`FIELD_INVALID`) without a font that has Chinese characters."""
    chosen = font or next((Path(path) for path in _FONTS if Path(path).is_file()), None)
    if chosen is None or not chosen.is_file():
        raise InvalidInput(Reason.FIELD_INVALID, "--font: a font file with Chinese characters (Debian: fonts-noto-cjk)")
    rows: list[tuple[Cell, ...]] = []
    total = len(languages) * len(DEGRADED) * pages
    with closing(open_parser(settings.model_copy(update={"ocr": "on"}))) as parser:
        _recognized(parser, degraded(render("warm", str(chosen))[0], "150 dpi"))
        for language in languages:
            made = [render(text, str(chosen)) for text in texts(language, pages)]
            for name in DEGRADED:
                found = []
                for page, said in made:
                    found.append(_compared(parser, degraded(page, name), said))
                    progress(len(rows) * pages + len(found), total)
                errors = sum(wrong for wrong, _, _, _ in found)
                chars = sum(size for _, size, _, _ in found)
                seconds = median(taken for _, _, taken, _ in found)
                confidence = median(sure for _, _, _, sure in found)
                rows.append((language, name, chars, errors / chars, confidence, seconds))
    columns = ("language", "page", "characters", "character error rate", "confidence", "seconds a page")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    notes = (
        "errors: insertions, deletions and exchanges without white space; case and width of characters count",
        f"one sandbox, one thread; its largest resident memory {peak:.0f} MB",
        f"font {chosen.name}, 11 points",
    )
    return Report("Character recognition", (Table("Pages", columns, tuple(rows)),), notes=notes)


def _compared(parser: Parser, content: bytes, said: str) -> tuple[int, int, float, float]:
    """Wrong characters, characters, seconds and confidence of a page."""
    started = time.monotonic()
    text, confidence = _recognized(parser, content)
    seconds = time.monotonic() - started
    wanted = "".join(said.split())
    return distance(wanted, "".join(text.split())), len(wanted), seconds, confidence


def _recognized(parser: Parser, content: bytes) -> tuple[str, float]:
    try:
        document = parser.parse(FetchedItem(SourceItem("page.pdf", "1"), content))
    except RagError:
        return "", 0.0
    return document.text, float(document.metadata.get("ocr_confidence", 0))


def distance(one: str, two: str) -> int:
    """Levenshtein's distance: the fewest characters to insert, delete or exchange."""
    row = list(range(len(two) + 1))
    for number, char in enumerate(one, start=1):
        before, row[0] = row[0], number
        for at, other in enumerate(two, start=1):
            cost = min(row[at] + 1, row[at - 1] + 1, before + (char != other))
            before, row[at] = row[at], cost
    return row[-1]
