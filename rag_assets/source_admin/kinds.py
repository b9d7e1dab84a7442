"""The installed kinds of source as the console's wizard, `rag source kinds` and the reference page show them."""

from __future__ import annotations

from typing import Any

from rag_assets.connectors.forms import form_fields
from rag_assets.connectors.kind import FORMER_NAMES, Card, ConnectorKind, FormField
from rag_assets.connectors.kinds import InstalledKind, installed_kinds, usable_kinds
from rag_core.errors import NotFound, Reason


def describe_kinds() -> list[dict[str, Any]]:
    """Return every kind with where it comes from, as `ragproto.admin.v1.SourceKind` has it."""
    return [_described(one) for one in installed_kinds()]


def find_card(name: str) -> tuple[ConnectorKind, Card]:
    """Return the way to add a source of this name. Raises `NotFound` (`SOURCE_KIND_UNKNOWN`)."""
    cards = {card.name: (kind, card) for kind in usable_kinds().values() for card in kind.cards}
    if name not in cards:
        raise NotFound(Reason.SOURCE_KIND_UNKNOWN, f"no kind of source is added as {name!r}; known: {', '.join(cards)}")
    return cards[name]


def _described(one: InstalledKind) -> dict[str, Any]:
    said = {"name": one.name, "package": one.package, "version": one.version}
    if one.kind is None:
        return said | {"problem": one.problem}
    kind = one.kind
    cards = [_card(kind, card) for card in kind.cards]
    stream = {"stream": True} if kind.options.is_stream else {}
    former = next((former for former, name in FORMER_NAMES.items() if name == one.name), "")
    said["former_name"] = former
    return said | {"missing": one.missing, "readers": kind.readers, "cards": cards} | stream


def _card(kind: ConnectorKind, card: Card) -> dict[str, Any]:
    fields = [_field(one) for one in form_fields(kind, card)]
    said = {"name": card.name, "title": card.title, "about": card.about, "icon": card.icon, "location": card.location}
    browse = kind.browse.label if kind.browse else ""
    return said | {"fields": fields, "fixed": dict(card.fixed), "browse": browse}


def _field(one: FormField) -> dict[str, Any]:
    only = {"only_path": one.only[0], "only_values": list(one.only[1])} if one.only else {}
    return {"path": one.path, "label": one.label, "type": one.type, "required": one.required, "help": one.help,
            "default": str(one.default), "choices": list(one.choices), "offered": one.offered,
            "narrows": one.narrows, **only}  # fmt: skip
