"""The connector for LlamaIndex's readers, which run in a process of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.llama_index.options import LlamaIndexOptions
from rag_assets.connectors.outside import ConnectorContext, ListingState, PolledConnector
from rag_assets.connectors.spool import Spool
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import InvalidInput, NotFound, RagError, Reason, Unavailable
from rag_core.ids import fingerprint, text_hash

_SCRIPT: Final = Path(__file__).with_name("read.py")
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY",
                     "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")  # fmt: skip
"""Variables that the process gets: none of the platform's own settings and secrets."""
_MAX_MESSAGE: Final = 300
_LINE_PER_BYTE: Final = 7
"""JSON writes a byte as six characters at most; the rest is for metadata."""
_BETWEEN: Final = b"\n\n"
_MAX_READ: Final = 1000
_READ: dict[bytes, tuple[str, float]] = {}
"""Last reading of this process, by options: the version tag, and when it ended."""


class LlamaIndexConnector(PolledConnector):
    """Reads everything for each listing, and keeps it in a temporary file until `close`."""

    shares_listings = False

    def __init__(self, options: LlamaIndexOptions, context: ConnectorContext) -> None:
        self._options, self._limit = options, context.max_file_bytes
        self._spool = Spool()

    def list_items(self) -> ReaderListing:
        self._spool.close()
        self._spool = Spool()
        return ReaderListing(self._options, self._spool, self._limit)

    def fetch(self, item: SourceItem) -> FetchedItem:
        kept = self._spool.get(item.locator)
        if kept is None:
            raise NotFound(Reason.VANISHED, "the reader does not give this document any more")
        content, about = kept
        if len(content) > self._limit:
            raise InvalidInput(Reason.FILE_TOO_LARGE, f"the document has more than {self._limit} bytes")
        read = replace(item, version_tag=about["tag"], size=len(content))
        return FetchedItem(read, content, self._options.media_type, about["title"], None, about["metadata"])

    def version_tag(self) -> str:
        """The tag of the last reading of this process, and of a new one after `refresh_seconds`."""
        tag, at = _READ.get(_key(self._options), ("", float("-inf")))
        return tag if time.monotonic() - at < self._options.refresh_seconds else super().version_tag()

    def close(self) -> None:
        """Remove the temporary file. Idempotent."""
        self._spool.close()


class ReaderListing(ListingState):
    """One run of a reader. Nothing is listed before it came to its end: a document may have texts that come later."""

    def __init__(self, options: LlamaIndexOptions, spool: Spool, limit: int) -> None:
        super().__init__()
        self._options, self._spool, self._limit = options, spool, limit
        self.version_tag = ""

    def __iter__(self) -> Iterator[SourceItem | Problem]:
        entries: dict[str, SourceItem | Problem] = {}
        try:
            # Texts of one name mostly follow each other: joined at once, or a long file would be copied for each page.
            for name, documents in groupby(self._numbered(), key=lambda one: self._name_of(one[1])):
                for entry in self._take(name, list(documents)):
                    entries[entry.locator] = entry
        except RagError as error:
            self._errors[str(error)] = None
            return
        items = sorted((one.locator, one.version_tag) for one in entries.values() if isinstance(one, SourceItem))
        self.version_tag = fingerprint(*items)
        yield from entries.values()
        self._finished = True
        if len(_READ) >= _MAX_READ:
            _READ.clear()
        _READ[_key(self._options)] = self.version_tag, time.monotonic()

    def _numbered(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, document in enumerate(_documents(self._options, self._limit), 1):
            if number > self._options.max_documents:
                most = f"more than max_documents ({self._options.max_documents}); raise it, or read less"
                raise Unavailable(Reason.LISTING_INCOMPLETE, most)
            yield number, document

    def _name_of(self, document: Mapping[str, Any]) -> str:
        return str(document["metadata"].get(self._options.name) or "").strip()

    def _take(self, name: str, documents: Sequence[tuple[int, Mapping[str, Any]]]) -> Iterator[SourceItem | Problem]:
        """Keep texts of one name, after those of it that came before."""
        if not name:
            for number, _ in documents:
                why = f"its metadata has no {self._options.name}"
                yield Problem(f"document {number}", Reason.ID_CHARS, why)
            return
        locator = names.encode(name)
        if names.is_too_long(locator):
            yield Problem(names.shorten(locator), Reason.ID_CHARS, "the name of the document is too long")
            return
        before = self._spool.get(locator)
        texts = [str(document["text"] or "").encode("utf-8", "replace") for _, document in documents]
        content = _BETWEEN.join([*([before[0]] if before else []), *texts])
        metadata = documents[-1][1]["metadata"]
        told = {ours: str(metadata[theirs]) for ours, theirs in self._options.metadata.items() if theirs in metadata}
        title = str(metadata.get(self._options.title) or "") or None
        tag = fingerprint(sha256(content).hexdigest(), title, told)
        self._spool.replace(locator, content[: self._limit + 1], title=title, metadata=told, tag=tag)
        yield SourceItem(locator, tag, len(content))


def _key(options: LlamaIndexOptions) -> bytes:
    return text_hash(options.model_dump_json())


def _documents(options: LlamaIndexOptions, limit: int) -> Iterator[dict[str, Any]]:
    """The documents of a run of the reader. Raises `Unavailable` when it did not come to its end."""
    secrets = {name: secret.read().get_secret_value() for name, secret in options.secrets.items()}
    call = {"reader": options.reader, "arguments": {**options.arguments, **secrets}, "load": options.load}
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    python = options.python or sys.executable
    try:
        process = subprocess.Popen(
            [python, "-I", str(_SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, encoding="utf-8", errors="replace", env=environment,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Unavailable(Reason.UNREADABLE, f"{python} cannot be started ({error.strerror})") from None
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    alarm = threading.Timer(options.timeout_seconds, _end, [process])
    alarm.start()
    try:
        with suppress(BrokenPipeError):
            json.dump(call, process.stdin)
            process.stdin.close()
        longest = _LINE_PER_BYTE * limit
        while line := process.stdout.readline(longest):
            if len(line) == longest:
                raise Unavailable(Reason.LISTING_INCOMPLETE, f"a document has far more than {limit} bytes")
            said = json.loads(line)
            if "complete" in said:
                return
            if "error" in said:
                raise Unavailable(Reason.LISTING_INCOMPLETE, _masked(said["error"], secrets))
            yield said
        raise Unavailable(Reason.LISTING_INCOMPLETE, "the reader ended, or was ended, before its last document")
    except json.JSONDecodeError:
        raise Unavailable(Reason.LISTING_INCOMPLETE, "the reader ended in the middle of a document") from None
    finally:
        alarm.cancel()
        _end(process)
        process.stdout.close()
        process.wait()


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _masked(message: str, secrets: Mapping[str, str]) -> str:
    for secret in secrets.values():
        message = message.replace(secret, "…")
    return " ".join(message.split())[:_MAX_MESSAGE]
