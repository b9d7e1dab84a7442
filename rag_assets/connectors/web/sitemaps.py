"""Sitemaps: lists of pages, lists of lists, plain or packed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Final

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, iterparse

from rag_core.errors import InvalidInput, RagError, Reason, Unavailable
from rag_core.http_client import Fetcher

MAX_FILES: Final = 500
MAX_DEPTH: Final = 2
MAX_BYTES: Final = 52_428_800
"""Limit of the sitemap protocol for a file, unpacked."""


class Sitemaps:
    """Pages listed in sitemaps. `problems`: what could not be read, by URL; `digests`: what was read."""

    def __init__(self, fetcher: Fetcher, *, max_urls: int) -> None:
        self._fetcher = fetcher
        self._left = max_urls
        self._files = 0
        self.problems: dict[str, str] = {}
        self.digests: dict[str, int] = {}

    def pages(self, url: str, depth: int = 0) -> Iterator[str]:
        """Raises nothing: a sitemap that cannot be read is a problem of its own."""
        if self._files >= MAX_FILES or url in self.digests or url in self.problems:
            return
        self._files += 1
        try:
            content = self._content(url)
            self.digests[url] = zlib.crc32(content)
            found = list(_locations(content))
        except RagError as error:
            self.problems[url] = f"{error.reason}: {error.message}"
            return
        for kind, location in found:
            if self._left <= 0:
                return
            if kind == "sitemap" and depth < MAX_DEPTH:
                yield from self.pages(location, depth + 1)
            elif kind == "url":
                self._left -= 1
                yield location

    def _content(self, url: str) -> bytes:
        answer = self._fetcher.get(url)
        if answer.status != 200:
            raise Unavailable(Reason.HTTP_STATUS, f"the sitemap answers with status {answer.status}")
        if not answer.content.startswith(b"\x1f\x8b"):
            return answer.content
        stream = zlib.decompressobj(31)
        try:
            content = stream.decompress(answer.content, MAX_BYTES)
        except zlib.error:
            raise InvalidInput(Reason.RESPONSE_INVALID, "the sitemap is not packed as it says") from None
        if stream.unconsumed_tail:
            raise InvalidInput(Reason.RESPONSE_TOO_LARGE, f"the sitemap unpacks to more than {MAX_BYTES} bytes")
        return content


def _locations(content: bytes) -> Iterator[tuple[str, str]]:
    try:
        parent = ""
        for event, element in iterparse(BytesIO(content), events=("start", "end"), forbid_dtd=True):
            name = element.tag.rpartition("}")[2]
            if event == "start":
                parent = name if name in ("url", "sitemap") else parent
            elif name == "loc" and parent and element.text:
                yield parent, element.text.strip()
            elif name in ("url", "sitemap"):
                parent = ""
                element.clear()
    except DefusedXmlException:
        raise InvalidInput(Reason.XML_DTD_FORBIDDEN, "the sitemap declares a DTD") from None
    except ParseError:
        raise InvalidInput(Reason.RESPONSE_INVALID, "the sitemap is not XML") from None
