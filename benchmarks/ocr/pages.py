"""Pages of known text as pictures, and what scanners and copiers do to them."""

from __future__ import annotations

import io
import re
import string
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.texts import chinese_sentences, package_sentences

DPI = 200
_WIDTH, _HEIGHT, _MARGIN = 8.27, 11.69, 0.8
_POINTS, _LINES = 11, 40
_PROSE = frozenset(string.ascii_letters + string.digits + " ,.;:'()-!?")
Degrade = Callable[[Image.Image], Image.Image]


def texts(language: str, pages: int) -> list[str]:
    """The text of so many different pages."""
    sentences = _english() if language == "en" else _chinese()
    joint = " " if language == "en" else ""
    chars = 2600 if language == "en" else 1000
    found: list[str] = []
    for _ in range(pages):
        words: list[str] = []
        while sum(map(len, words)) < chars:
            words.append(next(sentences))
        found.append(joint.join(words))
    return found


def _english() -> Iterator[str]:
    return (sentence for sentence in package_sentences() if _PROSE.issuperset(sentence))


def _chinese() -> Iterator[str]:
    sentences = chinese_sentences()
    return (f"第{n}条：{sentences[(n * 7 + n // len(sentences)) % len(sentences)]}" for n in range(10**6))


def render(text: str, font: str) -> tuple[Image.Image, str]:
    """A page of A4 at 200 dpi, and the text that found room on it."""
    face = ImageFont.truetype(font, round(_POINTS / 72 * DPI))
    page = Image.new("L", (round(_WIDTH * DPI), round(_HEIGHT * DPI)), 255)
    draw = ImageDraw.Draw(page)
    margin, room = round(_MARGIN * DPI), round((_WIDTH - 2 * _MARGIN) * DPI)
    lines = list(islice(_wrapped(text, lambda line: draw.textlength(line, font=face) <= room), _LINES))
    for number, line in enumerate(lines):
        draw.text((margin, margin + number * round(1.5 * _POINTS / 72 * DPI)), line, font=face, fill=0)
    return page, "".join(lines)


def _wrapped(text: str, fits: Callable[[str], bool]) -> Iterator[str]:
    words = re.findall(r"\S+\s*", text) if " " in text else list(text)
    line = ""
    for word in words:
        if line and not fits((line + word).rstrip()):
            yield line
            line = ""
        line += word
    if line:
        yield line


def _lower(page: Image.Image) -> Image.Image:
    return page.resize((page.width * 150 // DPI, page.height * 150 // DPI), Image.Resampling.BILINEAR)


def _turned(page: Image.Image) -> Image.Image:
    return page.rotate(2, Image.Resampling.BICUBIC, fillcolor=255)


def _noisy(page: Image.Image) -> Image.Image:
    random = np.random.default_rng(7)
    pixels = np.asarray(page, dtype=np.float32) + random.normal(0, 30, (page.height, page.width))
    specks = random.random((page.height, page.width)) < 0.004
    pixels[specks] = 0
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _pressed(page: Image.Image) -> Image.Image:
    out = io.BytesIO()
    page.save(out, "JPEG", quality=20)
    return Image.open(out).convert("L")


def _sideways(page: Image.Image) -> Image.Image:
    return page.transpose(Image.Transpose.ROTATE_90)


DEGRADED: dict[str, tuple[Degrade, ...]] = {
    "as rendered (200 dpi)": (),
    "150 dpi": (_lower,),
    "turned by 2 degrees": (_turned,),
    "noise": (_noisy,),
    "JPEG, quality 20": (_pressed,),
    "all four": (_lower, _turned, _noisy, _pressed),
    "on its side": (_sideways,),
}


def degraded(page: Image.Image, name: str) -> bytes:
    """The page as a PDF without a text layer, after what the name says."""
    for step in DEGRADED[name]:
        page = step(page)
    out = io.BytesIO()
    page.save(out, "PDF", resolution=150 if _lower in DEGRADED[name] else DPI)
    return out.getvalue()
