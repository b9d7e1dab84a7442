"""The YAML of a new source from what was typed into the wizard."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ACL = re.compile(r"everyone|(user|group):[^\x00-\x20\x7f]{1,256}")


@dataclass(frozen=True, slots=True)
class Answers:
    """What was typed. Lists are separated by commas or line breaks."""

    name: str
    tenant: str
    root: str
    include: str = ""
    exclude: str = ""
    acl: str = "everyone"
    cron: str = "0 3 * * *"
    timezone: str = "UTC"
    interval_seconds: int = 30
    freshness_minutes: int = 1500
    shards: int = 1


def problems(answers: Answers) -> list[str]:
    """What cannot stay as it is, as sentences. `rag source check` says the rest: it can look at the folder."""
    found = []
    if not _NAME.fullmatch(answers.name):
        found.append("Name: begin with a lower-case letter; then letters, digits, dash and underscore.")
    if not _TENANT.fullmatch(answers.tenant):
        found.append("Tenant: letters, digits, dash, dot and underscore.")
    if not answers.root.startswith("/"):
        found.append("Folder: give an absolute path.")
    if not all(_ACL.fullmatch(entry) for entry in split(answers.acl)):
        found.append("ACL: each entry is everyone, user:NAME or group:NAME.")
    if len(answers.cron.split()) != 5 and not answers.cron.startswith("@"):
        found.append("Schedule: five fields, or @daily and its kin.")
    return found


def source_yaml(answers: Answers) -> str:
    """The file to commit; what equals the default is left out."""
    options: dict[str, Any] = {"kind": "filesystem", "root": answers.root}
    for key, text in (("include", answers.include), ("exclude", answers.exclude)):
        if entries := split(text):
            options[key] = entries
    attributes: dict[str, Any] = {"name": answers.name, "tenant": answers.tenant}
    if acl := split(answers.acl):
        attributes["acl"] = acl
    if answers.shards > 1:
        attributes["shards"] = answers.shards
    attributes["schedule"] = {"cron": answers.cron, "timezone": answers.timezone}
    attributes["sensor"] = {"interval_seconds": answers.interval_seconds}
    attributes["freshness_minutes"] = answers.freshness_minutes
    attributes["options"] = options
    document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def split(text: str) -> list[str]:
    """The entries of a list that was typed."""
    return [entry.strip() for entry in re.split(r"[,\n]", text) if entry.strip()]
