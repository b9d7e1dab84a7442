"""Refuse images where there is no character recognition (`rag_core.content.parsing.ocr` reads them), with the right
reason."""

from __future__ import annotations

import io
import warnings
from typing import NoReturn

from PIL import Image, UnidentifiedImageError

from rag_core.content.parsing.base import ParseLimits
from rag_core.errors import InvalidInput, Reason


def refuse(content: bytes, limits: ParseLimits) -> NoReturn:
    """Raise `InvalidInput`: `IMAGE_BOMB` by the header's pixel count, else `NEEDS_OCR`. Nothing is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                pixels = image.width * image.height
    except Image.DecompressionBombError:
        pixels = limits.image_pixels + 1
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError):
        pixels = 0
    if pixels > limits.image_pixels:
        raise InvalidInput(Reason.IMAGE_BOMB, f"the image has more than {limits.image_pixels} pixels; it is not opened")
    raise InvalidInput(
        Reason.NEEDS_OCR, "an image is read by character recognition only: install OCR (docs/how-to/read-scans.md)"
    )
