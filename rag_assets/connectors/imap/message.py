"""Text and attachments of a message (RFC 5322, MIME), without what it quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from html import escape
from typing import Final

from selectolax.lexbor import LexborHTMLParser

from rag_core.errors import InvalidInput, Reason

MAX_PARTS: Final = 1_000
_QUOTED_HTML: Final = "blockquote, .gmail_quote, .gmail_signature, .moz-cite-prefix, .moz-signature, #appendonsend"
_FORWARDED: Final = ("fwd:", "fw:", "wg:", "tr:", "i:", "rv:", "转发:", "转发：")
_RULED: Final = re.compile(r"\A(-{3,}+[^-]{3,62}+-{3,}+|_{20,}+)\s*+")
_HEADER: Final = re.compile(r"\*?[^\W\d][\w ]{1,19}:\*? \S")
_MOST_SIGNATURE_LINES: Final = 12
_MOST_ATTRIBUTION_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class MessagePart:
    """A part of a message as a document."""

    content: bytes
    media_type: str
    title: str
    metadata: dict[str, str]


def render(raw: bytes, part: str, *, keep_quotes: bool) -> MessagePart | None:
    """The message itself (`part` is empty) or the attachment of a part number; `None` when there is no such part.

    Raises `InvalidInput` (`NESTING_TOO_DEEP`) for parts within parts that are nested deeper than can be read.
    """
    try:
        return _rendered(message_from_bytes(raw), part, keep_quotes=keep_quotes)
    except RecursionError:
        raise InvalidInput(Reason.NESTING_TOO_DEEP, "the parts of the message are nested too deeply") from None


def _rendered(message: Message, part: str, *, keep_quotes: bool) -> MessagePart | None:
    about = {name.replace("-", "_"): text for name in ("from", "to", "cc", "date", "subject", "message-id")
             if (text := header(message, name))}  # fmt: skip
    subject = about.get("subject", "")
    if part:
        found = dict(numbered(message)).get(part)
        if found is None:
            return None
        name = header_text(found.get_filename() or "") or part
        title = f"{name} ({subject})" if subject else name
        media_type = "text/plain" if found.get_content_maintype() == "message" else found.get_content_type()
        return MessagePart(_content(found), media_type, title, about)
    text, media_type = _body(message, keep_quotes or subject.casefold().startswith(_FORWARDED))
    head = [f"{name.capitalize()}: {about[name]}" for name in ("from", "to", "date") if name in about]
    if media_type == "text/html":
        content = "".join(f"<p>{escape(line)}</p>" for line in head) + text
    else:
        content = "\n".join([*head, "", text])
    return MessagePart(content.encode("utf-8", "replace"), media_type, subject, about)


def numbered(message: Message, prefix: str = "") -> Iterator[tuple[str, Message]]:
    """The leaves of a message with their part numbers, as IMAP counts them."""
    if not message.is_multipart() or message.get_content_maintype() == "message":
        yield prefix or "1", message
        return
    for number, part in enumerate(message.get_payload(), 1):
        yield from numbered(part, f"{prefix}.{number}" if prefix else str(number))


def header(message: Message, name: str) -> str:
    """The text of a header on one line; empty when it is missing."""
    return header_text(str(message.get(name) or ""))


def header_text(value: str) -> str:
    """A header's value with its encoded words decoded, on one line."""
    try:
        decoded = str(make_header(decode_header(value)))
    except (MessageError, LookupError, ValueError):
        decoded = value
    return " ".join("".join(char if char.isprintable() else " " for char in decoded).split())


def is_attachment(media_type: str, disposition: str, name: str, *, alone: bool) -> bool:
    """Return whether a leaf is an attachment: no text of the message, no picture in it, no signature."""
    if media_type in ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"):
        return False
    if disposition == "attachment" or media_type == "message/rfc822":
        return True
    if media_type in ("text/plain", "text/html") and (alone or not name):
        return False
    return bool(name) and not media_type.startswith("image/")


def without_quotes(text: str, *, forwarded: bool = False) -> str:
    """A message without the lines that it quotes, the message it answers, and its signature; a forwarded one keeps
    what it forwards."""
    lines, kept, said = text.splitlines(), list[str](), forwarded
    for number, line in enumerate(lines):
        rest = len(lines) - number
        if line == "-- " or (line == "--" and rest <= _MOST_SIGNATURE_LINES):
            break
        if said and not forwarded and _begins_answered(lines, number):
            break
        if not line.startswith(">"):
            kept.append(line)
            said = said or bool(line.strip())
        elif number and not lines[number - 1].startswith(">"):
            _drop_attribution(kept)
    return "\n".join(kept).strip()


def _begins_answered(lines: list[str], number: int) -> bool:
    """Return whether the message that is answered begins at a line: a rule with a text, or a block of its headers."""
    if lines[number].startswith("-") and _RULED.fullmatch(lines[number]):
        return True
    block = lines[number : number + 3]
    return len(block) == 3 and all(map(_HEADER.match, block)) and "@" in "".join(lines[number : number + 5])


def _drop_attribution(kept: list[str]) -> None:
    """Remove "On Monday at 10:00 Ann wrote:" before what it introduces, in whatever language."""
    while kept and not kept[-1].strip():
        kept.pop()
    start = len(kept)
    while start and kept[start - 1].strip() and len(kept) - start < _MOST_ATTRIBUTION_LINES:
        start -= 1
    block = " ".join(kept[start:]).strip()
    if block.endswith((":", "：")) and any(char.isdigit() for char in block):
        del kept[start:]


def _body(message: Message, keep: bool) -> tuple[str, str]:
    """The text of a message and its media type: plain text where there is any, else its HTML."""
    found: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    leaves = list(numbered(message))[:MAX_PARTS]
    for _, part in leaves:
        kind = part.get_content_type()
        named = header_text(part.get_filename() or "")
        if kind in found and not is_attachment(
            kind, part.get_content_disposition() or "", named, alone=len(leaves) == 1
        ):
            found[kind].append(_text(part))
    plain = "\n\n".join(found["text/plain"])
    if plain.strip() or not found["text/html"]:
        return (plain if keep else without_quotes(plain)), "text/plain"
    return "\n".join(one if keep else _html_without_quotes(one) for one in found["text/html"]), "text/html"


def _html_without_quotes(text: str) -> str:
    tree = LexborHTMLParser(text)
    for node in tree.css(_QUOTED_HTML):
        node.decompose()
    return tree.html or ""


def _content(part: Message) -> bytes:
    if part.get_content_maintype() == "message":
        inner = part.get_payload()
        first = inner[0] if isinstance(inner, list) and inner else None
        return _content_of_message(first) if isinstance(first, Message) else b""
    return _decoded(part)


def _decoded(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _content_of_message(message: Message) -> bytes:
    """A message within a message, as text."""
    text, _ = _body(message, True)
    head = [f"{name}: {value}" for name in ("Subject", "From", "To", "Date") if (value := header(message, name))]
    return "\n".join([*head, "", text]).encode("utf-8", "replace")


def _text(part: Message) -> str:
    content = _decoded(part)
    try:
        return content.decode(part.get_content_charset("utf-8"))
    except (LookupError, ValueError):
        return content.decode("latin-1")
