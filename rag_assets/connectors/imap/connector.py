"""The IMAP connector: a message is a document, and so is each of its attachments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.message import Message
from itertools import groupby
from typing import Any, Final

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.imap.message import header_text, is_attachment, render
from rag_assets.connectors.imap.options import ImapOptions
from rag_assets.connectors.imap.server import ImapServer, Mailbox
from rag_assets.connectors.outside import ConnectorContext, EntryListing, PolledConnector, entry_of, with_readers
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import InvalidInput, NotFound, Reason
from rag_core.ids import fingerprint

_TOGETHER: Final = 500
"""Messages that are described, and remembered, at once."""
_SUFFIX: Final = ".eml"


class ImapConnector(PolledConnector):
    """Reads the mailboxes of one account.

    A message is named by its Message-ID, so that it stays one document when the server numbers its messages again; the
    version tag has the numbers.
    """

    def __init__(self, options: ImapOptions, context: ConnectorContext) -> None:
        self._options, self._memory = options, context.memory
        self._limit = context.limit(options.max_file_bytes)
        self._server = ImapServer(options, context.fetch_policy)
        self._names: dict[str, str] = {}
        self._last: tuple[Any, bytes] = (None, b"")
        self._state = ""

    def list_items(self) -> EntryListing:
        return EntryListing(self._entries, "the server", tag=lambda: self._state)

    def fetch(self, item: SourceItem) -> FetchedItem:
        validity, uid, part, *_ = item.version_tag.split(":")
        path = names.decode_key(item.locator).rsplit("/", 2 if part else 1)[0]
        if path not in self._names:
            self._names[path] = self._server.name_of(path)
        name = self._names[path]
        raw = self._content(name, int(validity), int(uid))
        found = render(raw, part, keep_quotes=self._options.keep_quotes)
        if found is None:
            raise NotFound(Reason.VANISHED, "the message has no such attachment")
        metadata = found.metadata | {"mailbox": path}
        acl = self._server.readers(name)
        tag = with_readers(f"{validity}:{uid}:{part}", acl)
        read = replace(item, version_tag=tag, size=len(found.content))
        return FetchedItem(read, found.content, found.media_type, found.title or None, acl, metadata)

    def read_version_tag(self) -> str:
        return _state(self._server.mailboxes())

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._server.close()

    def _content(self, name: str, validity: int, uid: int) -> bytes:
        """A message; the last one is kept, as its attachments are asked for after it."""
        key = (name, validity, uid)
        if self._last[0] != key:
            self._last = (None, b"")
            raw = self._server.read(name, validity, uid, self._limit)
            if len(raw) > self._limit:
                raise InvalidInput(Reason.FILE_TOO_LARGE, f"the message has more than {self._limit} bytes")
            self._last = (key, raw)
        return self._last[1]

    def _entries(self) -> Iterator[SourceItem | Problem]:
        mailboxes = self._server.mailboxes()
        self._state, most = _state(mailboxes), self._options.max_messages
        messages = (one for mailbox in mailboxes for one in self._messages(mailbox))
        for number, entries in enumerate(messages):
            if number >= most:
                message = f"more than max_messages ({most}); name fewer mailboxes, or raise it"
                raise InvalidInput(Reason.LISTING_INCOMPLETE, message)
            yield from entries

    def _messages(self, mailbox: Mailbox) -> Iterator[Iterator[SourceItem | Problem]]:
        taken = set[int]()
        uids = self._server.messages(mailbox)
        for number, group in groupby(uids, key=lambda uid: uid // _TOGETHER):
            for uid, about in self._described(mailbox, number, list(group)).items():
                yield self._message(mailbox, uid, about, taken)

    def _described(self, mailbox: Mailbox, number: int, uids: list[int]) -> dict[int, dict[str, Any]]:
        """Describe messages, each once: what the server says of one never changes, and is remembered."""
        key = f"{mailbox.path}/{number}"
        kept = self._memory.get(key) or {}
        known = kept.get("messages", {}) if kept.get("validity") == mailbox.validity else {}
        found = {uid: known[str(uid)] for uid in uids if str(uid) in known}
        if missing := [uid for uid in uids if uid not in found]:
            described = self._server.describe(mailbox, missing)
            found |= {uid: _about(described[uid]) for uid in missing if uid in described}
            messages = {str(uid): about for uid, about in found.items()}
            self._memory.put({key: {"validity": mailbox.validity, "messages": messages}})
        return dict(sorted(found.items()))

    def _message(
        self, mailbox: Mailbox, uid: int, about: dict[str, Any], taken: set[int]
    ) -> Iterator[SourceItem | Problem]:
        name = about["id"]
        if not name or (digest := hash(name)) in taken:  # a copy, or a message that says another's name
            name = f"{name}~{mailbox.validity}-{uid}"
            digest = hash(name)
        taken.add(digest)
        at = datetime.fromtimestamp(about["at"], UTC) if about["at"] else None
        parts = [("", ""), *(about["parts"] if self._options.attachments else ())]
        for part, file in parts:
            path = f"{mailbox.path}/{name}{_SUFFIX}" + (f"/{part} {file}" if part else "")
            tag = with_readers(f"{mailbox.validity}:{uid}:{part}", mailbox.acl)
            entry = entry_of(path, tag, about["size"], self._limit, at=at, what="the message")
            yield replace(entry, size=None) if isinstance(entry, SourceItem) else entry  # its parts have other sizes


def _state(mailboxes: Sequence[Mailbox]) -> str:
    return fingerprint(*(one.state for one in mailboxes))


def _about(said: dict[bytes, Any]) -> dict[str, Any]:
    """Collect what is remembered of a message: its name, size, time and attachments."""
    name = (said[b"ENVELOPE"].message_id or b"").decode("ascii", "replace").strip(" <>").replace("/", "_")
    at = said.get(b"INTERNALDATE")
    structure = list(_leaves(said[b"BODYSTRUCTURE"]))
    parts = [
        [number, file.replace("/", "_") or "attachment"]
        for number, media_type, disposition, file in structure
        if is_attachment(media_type, disposition, file, alone=len(structure) == 1)
    ]
    return {"id": name, "size": int(said[b"RFC822.SIZE"]), "at": at.timestamp() if at else None, "parts": parts}


def _leaves(body: Any, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Number, media type, disposition and file name of each leaf of a BODYSTRUCTURE."""
    if isinstance(body[0], list):
        for number, part in enumerate(body[0], 1):
            yield from _leaves(part, f"{prefix}.{number}" if prefix else str(number))
        return
    media_type = f"{_word(body[0])}/{_word(body[1])}"
    dispositions = [
        one for one in body[7:] if isinstance(one, tuple) and one and _word(one[0]) in ("attachment", "inline")
    ]
    disposition = dispositions[0] if dispositions else (b"", None)
    file = _file_name(disposition[1] if len(disposition) > 1 else None, "filename") or _file_name(body[2], "name")
    yield prefix or "1", media_type, _word(disposition[0]), file


def _file_name(parameters: Any, name: str) -> str:
    """The value of a parameter in whichever of its encodings (RFC 2231, RFC 2047)."""
    if not isinstance(parameters, tuple):
        return ""
    texts = [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in parameters]
    pairs = [(key, value) for key, value in zip(texts[::2], texts[1::2], strict=False) if key.lower().startswith(name)]
    carrier = Message()
    carrier["Content-Disposition"] = "attachment"
    for key, value in pairs:
        carrier.set_param(key.lower().replace(name, "filename", 1), value, header="Content-Disposition")
    return header_text(carrier.get_filename() or "")


def _word(value: Any) -> str:
    return value.decode("ascii", "replace").lower() if isinstance(value, bytes) else ""
