"""Pictures: opened within limits, a frame at a time. Where there is no character recognition
(`rag_core.content.parsing.ocr` reads them) they are refused, with the right reason."""

from __future__ import annotations

import io
import warnings
from typing import Final, NoReturn

from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from rag_core.content.parsing.base import ParseLimits
from rag_core.errors import InvalidInput, Reason

MOST_PIXELS: Final = 12_000_000
"""A page of A3 at 200 dpi has 7.7 million; what is larger is made smaller before it is looked at."""


def refuse(content: bytes, limits: ParseLimits) -> NoReturn:
    """Raise `InvalidInput`: `IMAGE_BOMB` by the header's pixel count, else `NEEDS_OCR`. Nothing is decoded."""
    try:
        open_image(content, limits).close()
    except InvalidInput as refused:
        if refused.reason is Reason.IMAGE_BOMB:
            raise
    raise InvalidInput(
        Reason.NEEDS_OCR, "an image is read by character recognition only: install OCR (docs/how-to/read-scans.md)"
    )


def count_frames(content: bytes, limits: ParseLimits) -> int:
    """The number of pictures in a file: pages of a TIFF, else one. Raises as `open_image`."""
    with open_image(content, limits) as image:
        return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1


def open_image(content: bytes, limits: ParseLimits) -> Image.Image:
    """Open a picture by its header. Raises `InvalidInput` (`IMAGE_BOMB`, `TYPE_UNSUPPORTED`)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError):
        raise InvalidInput(Reason.TYPE_UNSUPPORTED, "the image is in a format that is not read, or damaged") from None
    except Image.DecompressionBombError:
        raise _bomb(limits) from None
    if image.width * image.height > limits.image_pixels:
        raise _bomb(limits)
    return image


def read_frame(content: bytes, number: int, limits: ParseLimits) -> Image.Image | None:
    """A picture of the file, counted from 1, upright; `None` when there are fewer. Raises `InvalidInput`."""
    with open_image(content, limits) as image:
        try:
            frame = next((one for at, one in enumerate(ImageSequence.Iterator(image), 1) if at == number), None)
            if frame is None:
                return None
            if frame.width * frame.height > limits.image_pixels:
                raise _bomb(limits)
            upright: Image.Image = ImageOps.exif_transpose(frame).convert("L")
        except (OSError, ValueError, SyntaxError, EOFError):
            raise InvalidInput(Reason.PARSE_FAILED, "the image is damaged; save it again") from None
    if upright.width * upright.height > MOST_PIXELS:
        scale = (MOST_PIXELS / (upright.width * upright.height)) ** 0.5
        upright = upright.resize((max(1, round(upright.width * scale)), max(1, round(upright.height * scale))))
    return upright


def _bomb(limits: ParseLimits) -> InvalidInput:
    return InvalidInput(Reason.IMAGE_BOMB, f"the image has more than {limits.image_pixels} pixels; it is not opened")
