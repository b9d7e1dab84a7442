"""One way to write a table row, for every format that has tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

CELL_SEPARATOR: Final = " | "


def row_line(cells: Sequence[str]) -> str:
    """A row as one line; line breaks within cells become spaces, trailing empty cells go."""
    flat = [" ".join(cell.split()) for cell in cells]
    while flat and not flat[-1]:
        flat.pop()
    return CELL_SEPARATOR.join(flat)
