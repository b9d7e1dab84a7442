"""A source's file from what was typed into its form, and the form from the file: kinds, their fields, the text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from console.i18n import N_
from console.presenters.schedules import cron_problem, timezone_known
from ragproto.admin.v1 import sources_pb2 as pb

OWN_PACKAGE = "rag-platform"
COMPONENT = "rag_assets.components.DocumentSource"
UPLOAD = "upload"
MAX_FILES = 20
MAX_MEGABYTES = 2
"""Limit of an uploaded file; RAG_MAX_DOCUMENT_BYTES is 2.9 MB by default."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ACL = re.compile(r"everyone|(user|group):[^\x00-\x20\x7f]{1,256}")
_VARIABLE = re.compile(r"RAG_SECRET_[A-Z0-9_]{1,100}")


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A kind of source as the wizard offers it; `kind` is the one of its file."""

    name: str
    kind: str
    title: str
    about: str
    icon: str
    fields: Sequence[pb.SourceField] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    location: str = ""
    """Path of the option that says where the documents are."""
    stream: bool = False
    package: str = ""
    """The package that it comes from, when that is not the platform's."""
    missing: str = ""
    """Requirement to install before it can be used."""
    former: str = ""
    """Its kind in files of earlier releases."""
    browse: str = ""
    """Label of the button that shows what there is to select from; empty: it cannot be browsed."""


UPLOAD_KIND = SourceKind(
    UPLOAD, "", "Upload files", "A few files from your computer, kept by the platform.", "upload_file"
)


def kinds_of(found: pb.SourceKinds) -> list[SourceKind]:
    """Return the cards of all kinds that can be used, and of files to upload."""
    usable = [kind for kind in found.kinds if not kind.problem]
    return [*(_kind(kind, card) for kind in usable for card in kind.cards), UPLOAD_KIND]


def _kind(kind: pb.SourceKind, card: pb.SourceCard) -> SourceKind:
    package = "" if kind.package == OWN_PACKAGE else f"{kind.package} {kind.version}"
    return SourceKind(card.name, kind.name, card.title, card.about, card.icon, card.fields, _plain(card.fixed),
                      card.location, kind.stream, package, kind.missing, kind.former_name,
                      card.browse)  # fmt: skip


def _plain(fixed: Struct) -> dict[str, Any]:
    """The values of a Struct, whose whole numbers are floats on the wire."""
    values = MessageToDict(fixed)
    return {name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in values.items()}  # fmt: skip


def shown_fields(kind: SourceKind, values: Mapping[str, Any]) -> list[pb.SourceField]:
    """The fields that apply to what was chosen so far."""
    return [
        item
        for item in kind.fields
        if not item.only_path or (values.get(item.only_path) or _default(kind, item.only_path)) in item.only_values
    ]


def _default(kind: SourceKind, path: str) -> Any:
    return next((item.default for item in kind.fields if item.path == path), "")


def can_browse(kind: SourceKind, values: Mapping[str, Any]) -> bool:
    """Return whether all is known that browsing needs: what it offers itself is not."""
    needed = [item for item in shown_fields(kind, values) if item.required and not item.offered]
    return all(str(values.get(item.path, item.default) or "").strip() for item in needed)


def around_browsing(kind: SourceKind, values: Mapping[str, Any]) -> tuple[list[pb.SourceField], list[pb.SourceField]]:
    """The fields that say where to browse, and those after it: from the first of which something is offered."""
    shown = shown_fields(kind, values)
    begin = next((place for place, item in enumerate(shown) if item.offered), len(shown))
    needed = [item for place, item in enumerate(shown) if place < begin or item.type == "secret"]
    return needed, [item for item in shown if item not in needed]


def narrowing(kind: SourceKind, values: Mapping[str, Any]) -> list[Any]:
    """The answers that decide what else is offered."""
    return [values.get(item.path) for item in kind.fields if item.narrows]


def take_suggestions(draft: MutableMapping[str, Any], suggested: Mapping[str, str]) -> list[pb.SourceField]:
    """Fill in what fits where nobody typed anything else; returns the inputs that changed."""
    values, before = draft["values"], draft.get("suggested", {})
    changed = []
    for item in draft["form"].fields:
        known = values.get(item.path) or item.default
        new = suggested.get(item.path, item.default if item.path in before else known)
        if known in (item.default, before.get(item.path, item.default)) and new != known:
            values[item.path] = new
            changed.append(item)
    draft["suggested"] = dict(suggested)
    return changed


def connection_problems(kind: SourceKind, name: str, tenant: str, values: Mapping[str, Any]) -> list[str]:
    """Return what is missing or wrong, as sentences of the interface."""
    found = []
    if not _NAME.fullmatch(name):
        found.append(N_("Name: begin with a lower-case letter; then letters, digits, dash and underscore."))
    if not _TENANT.fullmatch(tenant):
        found.append(N_("Tenant: letters, digits, dash, dot and underscore."))
    fields = shown_fields(kind, values)
    if any(item.required and not str(values.get(item.path) or "").strip() for item in fields):
        found.append(N_("Fill in every field with an asterisk."))
    root = str(values.get("root") or values.get("database.path") or "/")
    if not root.startswith("/"):
        found.append(N_("Folder: give an absolute path."))
    ports = [str(values.get(item.path) or "").strip() for item in fields if item.type == "port"]
    if not all(not text or (text.isdecimal() and 0 < int(text) < 65_536) for text in ports):
        found.append(N_("Port: a number from 1 to 65535."))
    secrets = [str(values.get(item.path) or "") for item in fields if item.type == "secret"]
    if not all(not text or _VARIABLE.fullmatch(text) or text.startswith("/") for text in secrets):
        found.append(
            N_("Secret: name a variable RAG_SECRET_… or the absolute path of a file, never the secret itself.")
        )
    return found


def acl_problems(entries: Iterable[str]) -> list[str]:
    """Return what is wrong with the entries of an ACL."""
    if all(_ACL.fullmatch(entry) for entry in entries):
        return []
    return [N_("ACL: each entry is everyone, user:NAME or group:NAME.")]


def schedule_problems(cron: str, timezone: str) -> list[str]:
    """Return what is wrong with a schedule; an empty one is none."""
    found = [problem for problem in [cron_problem(cron) if cron else None] if problem]
    return found if timezone_known(timezone) else [*found, N_("Time zone: use a name such as Europe/Berlin or UTC.")]


def options_of(kind: SourceKind, values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the source's file; what was left empty is left out."""
    options: dict[str, Any] = {"kind": kind.kind}
    for item in shown_fields(kind, values):
        value = _typed(item, values.get(item.path, item.default))
        if value not in ("", None, []):
            _put(options, item.path, value)
    if "auth" in options:  # a token alone is one of a bearer
        options["auth"] = {"type": "bearer", **options["auth"]}
    return options | dict(kind.fixed)


def _typed(item: pb.SourceField, value: Any) -> Any:
    if item.type == "list":
        return split(str(value or ""))
    if item.type == "number":
        return int(value) if value else None
    if item.type == "flag":
        return value is True or value == "True"
    text = str(value or "").strip()
    if item.type == "port" and text:
        return int(text)
    if item.type == "secret" and text:
        return {"file": text} if text.startswith("/") else {"env": text}
    return text


def _put(options: dict[str, Any], path: str, value: Any) -> None:
    *outer, last = path.split(".")
    for name in outer:
        options = options.setdefault(name, {})
    options[last] = value


def definition(draft: Mapping[str, Any]) -> str:
    """The text of the source's file. What the form has no field for stays as it was."""
    kind: SourceKind = draft["form"]
    document = deepcopy(draft.get("document", {"type": COMPONENT, "attributes": {}}))
    attributes = document["attributes"]
    attributes |= {"name": draft["name"], "tenant": draft["tenant"], "acl": list(draft.get("acl") or ())}
    if not attributes["acl"]:
        del attributes["acl"]
    if not kind.stream:
        cron = draft.get("cron", "0 3 * * *")
        attributes["schedule"] = {"cron": cron, "timezone": draft.get("timezone", "UTC")} if cron else None
        attributes["sensor"] = {"interval_seconds": draft["interval"]} if draft.get("interval") else None
    options = attributes.pop("options", {})
    for item in kind.fields:
        _remove(options, item.path)
    attributes["options"] = _merged(options_of(kind, draft.get("values", {})), options)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def draft_of(text: str, kinds: Iterable[SourceKind]) -> dict[str, Any] | None:
    """Return the answers of the wizard that a source's file holds; `None` where its form could not show them all."""
    try:
        document = yaml.safe_load(text)
        attributes = document["attributes"]
        options, name, tenant = attributes["options"], str(attributes["name"]), str(attributes["tenant"])
        schedule, sensor = attributes.get("schedule", {}), attributes.get("sensor", {})
        of_kind = [
            kind
            for kind in kinds
            if options["kind"] in (kind.kind, kind.former) and kind.fixed.items() <= options.items()
        ]
        form = max(of_kind, key=lambda kind: len(kind.fixed))
        values = {item.path: _shown(_get(options, item.path)) for item in form.fields}
        cron = "" if schedule is None else schedule.get("cron", "0 3 * * *")
        zone = (schedule or {}).get("timezone", "UTC")
        interval = None if sensor is None else sensor.get("interval_seconds", 30)
    except (yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError):
        return None
    return {"form": form, "kind": form.name, "document": document, "name": name, "tenant": tenant, "cron": cron,
            "timezone": zone, "interval": interval, "acl": attributes.get("acl") or [],
            "values": {path: value for path, value in values.items() if value is not None}}  # fmt: skip


def _shown(value: Any) -> Any:
    """An option as its field shows it. Raises `ValueError` for one that has no such form."""
    if isinstance(value, Mapping):  # a reference to a secret
        ((name, place),) = value.items()
        if name not in ("env", "file"):
            raise ValueError(name)
        return place
    if isinstance(value, list):
        if not all(isinstance(entry, str) and split(entry) == [entry] for entry in value):
            raise ValueError("a list of other things than words")
        return ", ".join(value)
    return value


def _get(options: Any, path: str) -> Any:
    for name in path.split("."):
        options = (options or {}).get(name)
    return options


def _remove(options: dict[str, Any], path: str) -> None:
    name, _, rest = path.partition(".")
    if not rest:
        options.pop(name, None)
    elif isinstance(options.get(name), dict):
        _remove(options[name], rest)
        if not options[name]:
            del options[name]


def _merged(options: dict[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in others.items():
        if isinstance(value, Mapping) and isinstance(options.get(name), dict):
            _merged(options[name], value)
        else:
            options.setdefault(name, value)
    return options


def suggested_name(kind: SourceKind, values: Mapping[str, Any]) -> str:
    """A name from the folder, host, table or topic that was typed."""
    typed = (values.get(path) for path in (kind.location, *(item.path for item in kind.fields if item.required)))
    place = next((text for text in map(str, filter(None, typed)) if text.strip()), "")
    place = split(place)[0] if split(place) else ""
    last = place.rstrip("/").rpartition("/")[2]
    word = (
        (urlsplit(place).hostname or "") if "://" in place and not last.endswith(".git") else last.removesuffix(".git")
    )
    name = re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-").lstrip("0123456789-")
    return name[:63] or kind.name


def split(text: str) -> list[str]:
    """The entries of a list that was typed."""
    return [entry.strip() for entry in re.split(r"[,\n]", text) if entry.strip()]
