"""Strict YAML for configuration: one document, plain data, and every mistake reported with its position.

PyYAML keeps the last of two equal keys and expands aliases without limit; both hide mistakes here, so both are refused.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from yaml.composer import Composer

MAX_BYTES = 262_144
MAX_DEPTH = 32


@dataclass(slots=True)
class YamlResult:
    """`data` is usable only when `problems` is empty; each problem is `path: what is wrong`."""

    data: Any = None
    problems: list[str] = field(default_factory=list)


class _Refused(yaml.YAMLError):
    pass


class _Loader(Composer, yaml.CSafeLoader):
    """Parses with libyaml, which takes a third of the time; its nodes are made here, so that they can be looked at."""

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)
        self.problems: list[str] = []
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = cast("yaml.Event", self.peek_event())
        line = cast("yaml.Mark", event.start_mark).line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Refused(f"line {line}: anchors and aliases are not supported; write the value out")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Refused(f"line {line}: nested more than {MAX_DEPTH} levels deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise _Refused(f"line {line}: a key must be a plain word")
            if key.value in seen:
                self.problems.append(f'line {line}: the key "{key.value}" appears twice')
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> YamlResult:
    """Read one YAML document of at most 256 KiB. Never raises for what the file contains."""
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except OSError as error:
        return YamlResult(problems=[f"cannot be read ({error.strerror})"])
    if raw is None:
        return YamlResult(problems=[f"larger than {MAX_BYTES} bytes"])
    try:
        return parse_yaml(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return YamlResult(problems=[f"not UTF-8 text (byte {error.start}); save it as UTF-8"])


def parse_yaml(text: str) -> YamlResult:
    """As `load_yaml`, for text that is already in memory."""
    try:
        loader = _Loader(text)
        data = loader.get_single_data()
    except _Refused as error:
        return YamlResult(problems=[str(error)])
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return YamlResult(problems=[f"line {line}: {_explain(error, text.splitlines()[line - 1 :])}"])
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return YamlResult(problems=[f"not valid YAML ({type(error).__name__})"])
    if data is None and not loader.problems:
        return YamlResult(problems=["the file is empty"])
    return YamlResult(data, loader.problems)


def _explain(error: yaml.MarkedYAMLError, rest: Sequence[str]) -> str:
    if rest and rest[0].lstrip(" ").startswith("\t"):
        return "indented with a tab; use spaces"
    return error.problem or error.context or "not valid YAML"
