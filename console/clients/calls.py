"""Calls of one service by the names of its methods."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

MAX_ROWS = 10_000
"""Rows of a list that the console shows as a whole."""


class ServiceCalls:
    """A service as one caller sees it. Every method raises `ServiceError`."""

    def __init__(self, stub: Any, call: Callable[[Any, Any], Any]) -> None:
        self._stub, self._call = stub, call
        self._messages = sys.modules[type(stub).__module__.removesuffix("_grpc")]

    def ask(self, method: str, /, **fields: Any) -> Any:
        """Call a method; the request of `Find` is a `FindRequest`."""
        return self._call(getattr(self._stub, method), getattr(self._messages, f"{method}Request")(**fields))

    def ask_all(self, method: str, rows: str, /, **fields: Any) -> Any:
        """Read a list as one response: page after page, up to `MAX_ROWS`. A `next_page_token` in it: there are more."""
        found = self.ask(method, **fields)
        while found.next_page_token and len(getattr(found, rows)) < MAX_ROWS:
            page = self.ask(method, **fields, page_token=found.next_page_token)
            getattr(found, rows).extend(getattr(page, rows))
            found.next_page_token = page.next_page_token
        return found
