"""One page to text, in the sandbox: render it, find its lines, recognize them, and read structure from their places.

rapidocr runs on ONNX Runtime with the models of its own wheel, so that nothing is fetched.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from statistics import median
from typing import Any, Final

import numpy as np
import pypdfium2
from PIL import Image

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.blocks import Block
from rag_core.content.parsing.builder import TextBuilder
from rag_core.content.parsing.clean import join_lines
from rag_core.content.parsing.detect import Kind
from rag_core.content.parsing.formats.image import MOST_PIXELS, count_frames, read_frame
from rag_core.content.parsing.formats.pdf_blocks import Outline, add_blocks
from rag_core.content.parsing.formats.pdf_lines import Line, Page
from rag_core.content.parsing.formats.pdf_rules import Rules
from rag_core.content.parsing.ocr.reader import COUNT
from rag_core.errors import InvalidInput, Reason

_DPI: Final = 200
_POINTS: Final = 72
_FIND_PIXELS: Final = 1280
_LEAST_SCORE: Final = 0.5
"""Below it a line is more likely dirt than text."""
_DOUBTFUL: Final = 0.85
_LONG: Final = 15
_INK: Final = 60
_TALL: Final = 1.5
_TRIED: Final = 5
_SAME_SIZE: Final = 1.35


def read_page(content: bytes, kind: Kind, page: int, limits: ParseLimits, *, language: str) -> ParsedDocument:
    """The text of a page, counted from 1, as a document of its own; empty when there is nothing to see. With `COUNT` an
    empty document whose metadata has `pages`.

    Raises `InvalidInput` (`IMAGE_BOMB`, `TYPE_UNSUPPORTED`, `PARSE_FAILED`).
    """
    builder = TextBuilder(limits)
    if page == COUNT:
        return builder.finish(str(kind), metadata={"pages": str(_count(content, kind, limits))})
    image = _pdf_page(content, page) if kind is Kind.PDF else read_frame(content, page, limits)
    if image is None:
        return builder.finish(str(kind))
    found = _upright(np.asarray(image.convert("RGB")))
    # The places of pages in a PDF are counted from 0.
    lines = _lines(found, image.height, page - 1, language)
    add_blocks(builder, [Page([line for line, _ in lines], Rules())], Outline([]))
    document = builder.finish(str(kind))
    scores = _of_blocks(document.text, document.blocks, lines)
    if not scores:
        return document
    weights = [block.end - block.start for block in document.blocks]
    mean = sum(score * weight for score, weight in zip(scores, weights, strict=True)) / sum(weights)
    said = {"ocr_confidence": f"{mean:.3f}", "ocr_blocks": " ".join(f"{100 * score:.0f}" for score in scores)}
    return builder.finish(str(kind), metadata=said)


# --------------------------------------------------------------------------------------------------------------------
# A page as an image.


def _count(content: bytes, kind: Kind, limits: ParseLimits) -> int:
    if kind is Kind.PDF:
        with _opened(content) as document:
            return len(document)
    return count_frames(content, limits)


def _opened(content: bytes) -> Any:
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError:
        raise InvalidInput(Reason.PARSE_FAILED, "the PDF is damaged and cannot be opened; export it again") from None


def _pdf_page(content: bytes, number: int) -> Image.Image | None:
    with _opened(content) as document:
        page = document[number - 1]
        if next(iter(page.get_objects(max_depth=2)), None) is None:
            return None  # a blank page
        width, height = page.get_size()
        scale = min(_DPI / _POINTS, (MOST_PIXELS / max(width * height, 1)) ** 0.5)
        rendered: Image.Image = page.render(scale=scale, grayscale=True).to_pil()
        return rendered


# --------------------------------------------------------------------------------------------------------------------
# Lines, and what they are made of.


@cache
def _recognizer() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            # Lines are looked for on a smaller page, which takes half the time, and recognized on the whole one.
            "Det.limit_type": "max",
            "Det.limit_side_len": _FIND_PIXELS,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def recognize_lines(image: Image.Image) -> list[tuple[Any, str]]:
    """The lines of a picture with the corners of each, in its pixels; of a page that stands upright."""
    return [(corners, text) for corners, text, _ in _recognize(np.asarray(image.convert("RGB")))]


def _recognize(pixels: Any) -> list[tuple[Any, str, float]]:
    found = _recognizer()(pixels, use_cls=True, use_det=True)
    if found.txts is None:
        return []
    read = []
    for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
        corners = np.asarray(box, dtype=float)
        said, sure = str(text), float(score)
        if sure < _DOUBTFUL and _width(corners) > _LONG * _height(corners):
            said, sure = _in_halves(pixels, corners, said, sure)
        if sure >= _LEAST_SCORE and said.strip():
            read.append((corners, said, sure))
    return read


def _in_halves(pixels: Any, corners: Any, text: str, score: float) -> tuple[str, float]:
    """A long line again, parted at the gap between words that is nearest to its middle: the model now and then loses
    a line of the length of a page. The surer reading of the two is taken."""
    (left, top), (right, bottom) = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    line = pixels[max(top, 0) : bottom, max(left, 0) : right]
    ink = (line.min(axis=(0, 2)) < np.median(line) - _INK).astype(float)
    gap = max(line.shape[0] // 5, 1)
    blank = np.convolve(ink, np.ones(gap), "same") < 0.5
    places = np.flatnonzero(blank[gap:-gap]) + gap
    if not len(places):
        return text, score
    cut = places[np.argmin(np.abs(places - line.shape[1] / 2))]
    halves = [_recognizer()(half, use_det=False, use_cls=False) for half in (line[:, :cut], line[:, cut:])]
    if any(half.txts is None or not half.txts for half in halves):
        return text, score
    parts = [str(half.txts[0]).strip() for half in halves]
    sure = float(np.average([half.scores[0] for half in halves], weights=[max(len(part), 1) for part in parts]))
    return (join_lines(parts), sure) if sure > score else (text, score)


def _upright(pixels: Any) -> list[tuple[Any, str, float]]:
    """The lines of a page; one that lies on its side is turned before it is read."""
    found = _recognize(pixels)
    tall = sum(_height(box) > _TALL * _width(box) for box, text, _ in found if len(text) > 2)
    if len(found) < 3 or tall * 2 <= len(found):
        return found
    longest = sorted((box for box, _, _ in found), key=_height)[-_TRIED:]
    turns = max((1, 3), key=lambda turns: sum(_certainty(pixels, box, turns) for box in longest))
    return _recognize(np.ascontiguousarray(np.rot90(pixels, turns)))


def _certainty(pixels: Any, corners: Any, turns: int) -> float:
    """Return the model's confidence in a line that was turned so."""
    (left, top), (right, bottom) = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    line = np.rot90(pixels[max(top, 0) : bottom, max(left, 0) : right], turns)
    found = _recognizer()(np.ascontiguousarray(line), use_det=False, use_cls=False)
    return float(found.scores[0]) if found.txts else 0.0


def _width(box: Any) -> float:
    return float(max(np.linalg.norm(box[1] - box[0]), np.linalg.norm(box[2] - box[3])))


def _height(box: Any) -> float:
    return float(max(np.linalg.norm(box[3] - box[0]), np.linalg.norm(box[2] - box[1])))


def _lines(found: list[tuple[Any, str, float]], height: int, page: int, language: str) -> list[tuple[Line, float]]:
    """Lines in the coordinates of a PDF, where structure is read from them, with their scores."""
    if not found:
        return []
    chinese = language == "zh" or (language == "auto" and _is_chinese("".join(text for _, text, _ in found)))
    usual = median(_height(box) for box, _, _ in found)
    scale = _POINTS / _DPI
    made = []
    for box, text, score in found:
        tall = _height(box)
        # The height of a line depends on its letters, so that only clearly larger ones have another size.
        size = usual if tall < usual * _SAME_SIZE else usual * round(2 * tall / usual) / 2
        said = text if chinese else unicodedata.normalize("NFKC", text)
        x, y = float(box[0][0]), height - float(box[3][1])
        made.append((Line(said.strip(), page, x * scale, y * scale, y * scale, size * scale, fixed=False), score))
    return made


def _is_chinese(text: str) -> bool:
    return sum("\u3400" <= char <= "\u9fff" for char in text) * 20 > len(text)


def _of_blocks(text: str, blocks: Sequence[Block], lines: list[tuple[Line, float]]) -> list[float]:
    """The confidence of each block: that of the lines in it, weighed by their length."""
    whole = [("".join(line.text.split()), score) for line, score in lines]
    mean = sum(score * len(said) for said, score in whole) / max(sum(len(said) for said, _ in whole), 1)
    scores = []
    for block in blocks:
        within = "".join(text[block.start : block.end].split())
        own = [(len(said), score) for said, score in whole if said and said in within]
        length = sum(size for size, _ in own)
        # Where lines were joined over a hyphen, or parted into cells, the page's own mean stands for the rest.
        known = sum(size * score for size, score in own)
        rest = max(len(within) - length, 0)
        scores.append((known + rest * mean) / max(length + rest, 1))
    return scores
