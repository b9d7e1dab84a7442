"""Messages as HTML: names instead of ids, and no marks of Slack's own.

https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape, unescape
from typing import Any, Final

from rag_assets.connectors.slack.service import SlackUser

_REFERENCE: Final = re.compile(r"<([^<>\n]{1,4000})>")
_MARKS: Final = (
    re.compile(r"(?<![\w*])\*([^*\n]{1,500})\*(?![\w*])"),
    re.compile(r"(?<![\w~])~([^~\n]{1,500})~(?![\w~])"),
    re.compile(r"(?<!\w)_([^_\n]{1,500})_(?!\w)"),
)
_CODE: Final = re.compile(r"`([^`\n]{1,500})`")
_LINKS: Final = ("https://", "http://", "mailto:")
_MOST_TITLE: Final = 80


def render(messages: Sequence[dict[str, Any]], users: Mapping[str, SlackUser], channels: Mapping[str, str]) -> str:
    """The messages in the order of their times, each with its author."""
    shown = sorted(messages, key=lambda one: float(one["ts"]))
    return "\n".join(_message(one, users, channels) for one in shown if one.get("subtype") != "tombstone")


def author(message: Mapping[str, Any], users: Mapping[str, SlackUser]) -> str:
    """The name of who wrote a message."""
    user = str(message.get("user") or "")
    return users[user].name if user in users else str(message.get("username") or user or "app")


def title(message: Mapping[str, Any], users: Mapping[str, SlackUser], channels: Mapping[str, str]) -> str:
    """The beginning of a message, on one line."""
    text = unescape(re.sub(r"<[^<>]{1,9000}>", "", _html(_text(message), users, channels).replace("<br>", " ")))
    line = " ".join(text.split())
    return line if len(line) <= _MOST_TITLE else line[:_MOST_TITLE].rpartition(" ")[0] + " …"


def _message(message: Mapping[str, Any], users: Mapping[str, SlackUser], channels: Mapping[str, str]) -> str:
    at = datetime.fromtimestamp(float(message["ts"]), UTC)
    head = f"<strong>{escape(author(message, users))}</strong> ({at:%Y-%m-%d %H:%M}): "
    parts = [
        f"<pre>{escape(unescape(part.strip()))}</pre>"
        if number % 2
        else f"<p>{_html(part.strip(), users, channels)}</p>"
        for number, part in enumerate(_text(message).split("```"))
    ]
    return parts[0].replace("<p>", f"<p>{head}", 1) + "".join(part for part in parts[1:] if part != "<p></p>")


def _text(message: Mapping[str, Any]) -> str:
    text = str(message.get("text") or "")
    more = [str(one.get("text") or one.get("fallback") or "") for one in message.get("attachments") or ()]
    return text or "\n".join(one for one in more if one)


def _html(text: str, users: Mapping[str, SlackUser], channels: Mapping[str, str]) -> str:
    for mark in _MARKS:
        text = mark.sub(r"\1", text)
    found, end = [], 0
    for match in _REFERENCE.finditer(text):
        found += [_plain(text[end : match.start()]), _reference(match[1], users, channels)]
        end = match.end()
    return "".join([*found, _plain(text[end:])])


def _plain(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(unescape(text), quote=False)).replace("\n", "<br>")


def _reference(said: str, users: Mapping[str, SlackUser], channels: Mapping[str, str]) -> str:
    """A name for what stands between angle brackets: a user, a channel, a group, a date or a link."""
    target, _, label = said.partition("|")
    label, rest = unescape(label), target[1:]
    if target.startswith("@"):
        return escape("@" + (users[rest].name if rest in users else label or rest), quote=False)
    if target.startswith("#"):
        return escape("#" + (label or channels.get(rest, rest)), quote=False)
    if target.startswith("!"):
        return escape(label or "@" + rest.partition("^")[0], quote=False)
    shown = escape(label or unescape(target), quote=False)
    return f'<a href="{escape(unescape(target))}">{shown}</a>' if target.startswith(_LINKS) else shown
