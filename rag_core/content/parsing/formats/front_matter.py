"""Front matter: YAML between lines of `---`, or TOML between lines of `+++`, at the head of a Markdown file."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

DAMAGED_FLAG: Final = "front_matter_damaged"
_YAML: Final = re.compile(
    r"\A\ufeff?---[ \t]*\n(.{0,20000}?)\n?^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_TOML: Final = re.compile(r"\A\ufeff?\+\+\+[ \t]*\n(.{0,20000}?)\n?^\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_FIELD: Final = re.compile(r"\A([A-Za-z][\w.-]{0,60})[ \t]*[:=][ \t]*(.*)\Z")
_MAX_ITEMS: Final = 50
_DESCRIPTIONS: Final = ("description", "summary", "excerpt", "lead")
_Scalar = str | int | float | bool | datetime.date | datetime.time


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The simple values of front matter, which are metadata and no text."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()

    @property
    def description(self) -> str:
        """The author's summary of the page: all there is to read on a page without a body."""
        return next((self.metadata[name] for name in _DESCRIPTIONS if name in self.metadata), "")


def front_matter(source: str) -> tuple[FrontMatter | None, str]:
    """The front matter of a document, and the rest. `None` when there is none: it may begin with a rule."""
    for pattern, load in ((_YAML, yaml.safe_load), (_TOML, tomllib.loads)):
        match = pattern.match(source)
        if match is None:
            continue
        rest = source[match.end() :]
        try:
            values = load(match[1])
        except (yaml.YAMLError, ValueError, RecursionError):
            values = _readable_fields(match[1])
            return (_front_matter(values, frozenset({DAMAGED_FLAG})), rest) if values else (None, source)
        if isinstance(values, dict):
            return _front_matter(values, frozenset()), rest
        return (FrontMatter(), rest) if values is None else (None, source)
    return None, source


def _readable_fields(source: str) -> dict[str, str]:
    """The `name: value` lines of front matter that cannot be parsed; none when most lines are something else."""
    lines = [line for line in source.split("\n") if line.strip() and not line.startswith(("#", " ", "\t", "-"))]
    found = [match for line in lines if (match := _FIELD.match(line))]
    if 2 * len(found) <= len(lines):
        return {}
    return {match[1]: match[2].strip().strip("\"'") for match in found}


def _front_matter(values: Mapping[Any, Any], flags: frozenset[str]) -> FrontMatter:
    metadata: dict[str, str] = {}
    for name, value in values.items():
        items = value[:_MAX_ITEMS] if isinstance(value, list) else [value]
        text = ", ".join(_text(item) for item in items if isinstance(item, _Scalar))
        if text:
            metadata[str(name)] = text
    return FrontMatter(metadata, flags)


def _text(value: _Scalar) -> str:
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)
