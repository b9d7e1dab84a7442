"""`rag …` commands as pages, help, messages and files of a deployment write them, looked up in the command itself."""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ragctl.app import app

# After the program's name: words, options and their values, up to what ends a command in a shell or in prose.
_PROGRAM = re.compile(r"(?<![\w./$@{<-])(?:\.venv/bin/)?rag (?=(?P<words>[a-z][^`|;&#\n()\"<>]*))")
# Where nothing but a command can follow; elsewhere `rag` may be a namespace, a release of Helm or a name in prose.
_CERTAIN = re.compile(r"(?:^\s*(?:\$ |- )?|`|-- |[Ee]xample: |\b[Rr]un )$")
_NAME = re.compile(r"[a-z][a-z-]*")
_GLOBAL = {"--output", "--json", "--help", "--version"}


def commands_in(text: str) -> Iterator[str]:
    """Commands that a text names, each as its words and options."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for match in _PROGRAM.finditer(joined):
        before = joined[: match.start()].rpartition("\n")[2]
        first = _NAME.match(match["words"])
        if _CERTAIN.search(before) or (
            first and first[0] in _names(app) and not before.endswith(("-n ", "--namespace "))
        ):
            yield match["words"].strip()


def texts_of(path: Path) -> Iterator[str]:
    """What of a file is read: of Python its strings, each whole, and its comments; of others all."""
    source = path.read_text("utf-8")
    if path.suffix != ".py":
        yield source
    if path.suffix != ".py" or "rag " not in source:
        return  # to parse all of Python takes seconds
    parts: set[ast.AST] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts.update(node.values)
            yield "".join(one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            yield node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def problem_of(command: str) -> str | None:
    """The name or the option in a command that there is none of."""
    node: Any = app
    words, path = command.split(), ["rag"]
    while words and (found := _NAME.match(words[0])) and found[0] in _names(node):
        node = node[found[0]]
        path.append(found[0])
        if words.pop(0) != found[0]:
            return None  # a comma, a full stop: the sentence continues
    if node.default_command is None and words and _NAME.fullmatch(words[0]):
        return f"{' '.join([*path, words[0]])}: no such command"
    options = {match[0] for word in words if (match := re.match(r"--[a-z][a-z-]*", word))} - _GLOBAL
    unknown = sorted(options - _options(tuple(path[1:]))) if options else []
    return f"{' '.join(path)}: no option {', '.join(unknown)}" if unknown else None


def _names(node: Any) -> set[str]:
    return {name for name in node if not name.startswith("-")}


@functools.cache
def _options(path: tuple[str, ...]) -> frozenset[str]:
    node: Any = app
    for name in path:
        node = node[name]
    if node.default_command is None:
        return frozenset()
    return frozenset(name for one in node.assemble_argument_collection() for name in (*one.names, *one.negatives))
