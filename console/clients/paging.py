"""Lists that the console shows as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MAX_ROWS = 10_000
"""A page of the console with more rows helps nobody."""


def whole(ask: Callable[[str], Any], rows: str) -> Any:
    """A list as one response: page after page, up to `MAX_ROWS`. Its `next_page_token` says whether there are more."""
    found = ask("")
    while found.next_page_token and len(getattr(found, rows)) < MAX_ROWS:
        page = ask(found.next_page_token)
        getattr(found, rows).extend(getattr(page, rows))
        found.next_page_token = page.next_page_token
    return found
