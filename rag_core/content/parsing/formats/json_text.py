"""JSON and JSON Lines as `path: value` lines, one block per record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.builder import TextBuilder
from rag_core.content.parsing.formats.delimited import ROWS_SKIPPED_FLAG, RowProblems
from rag_core.errors import InvalidInput, Reason

_TITLE_KEYS: Final = ("title", "name", "headline", "标题")
_MAX_KEY_CHARS: Final = 200


class _Object(list[tuple[str, Any]]):
    """A JSON object as pairs: a repeated key keeps both values, and lists stay distinguishable."""


# Numbers stay the text they were: no rounding, no limit on digits.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_Object, parse_float=str, parse_int=str, parse_constant=str)


def read(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """A top-level array gives one block per element, an object one per top-level key.

    Raises `InvalidInput` (`PARSE_FAILED`, `NESTING_TOO_DEEP`).
    """
    value = _load(text.lstrip("\ufeff"))
    builder = TextBuilder(limits)
    if isinstance(value, _Object):
        _add_object(builder, value, limits)
    else:
        for element in value if isinstance(value, list) else [value]:
            builder.paragraph("\n".join(_lines(element, limits)))
    return builder.finish(media_type, title=_title(value))


def read_lines(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """JSON Lines: a block per line. Lines that are not JSON are set aside by number; if all are, `PARSE_FAILED`."""
    builder = TextBuilder(limits)
    problems = RowProblems()
    kept = 0
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        try:
            builder.paragraph("\n".join(_lines(_load(line), limits)))
            kept += 1
        except InvalidInput as error:
            if error.reason not in (Reason.PARSE_FAILED, Reason.NESTING_TOO_DEEP):
                raise
            problems.add(number, error.message)
    if problems.count and not kept:
        raise InvalidInput(Reason.PARSE_FAILED, f"no line is valid JSON: {problems.first}")
    if problems.count:
        builder.flags.add(ROWS_SKIPPED_FLAG)
    return builder.finish(media_type, metadata={"rows": str(kept), **problems.metadata()})


def _load(text: str) -> Any:
    try:
        value, end = _DECODER.raw_decode(text, len(text) - len(text.lstrip()))
    except json.JSONDecodeError as error:
        raise InvalidInput(Reason.PARSE_FAILED, f"not valid JSON at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise _too_deep() from None
    if text[end:].strip():
        raise InvalidInput(Reason.PARSE_FAILED, "there is text after the JSON value; name JSON Lines files .jsonl")
    return value


def _add_object(builder: TextBuilder, value: _Object, limits: ParseLimits) -> None:
    for key, child in value:
        if isinstance(child, list) and not isinstance(child, _Object) and any(isinstance(item, list) for item in child):
            builder.heading(key, 1)
            for element in child:
                builder.paragraph("\n".join(_lines(element, limits)))
        else:
            builder.paragraph("\n".join(_lines(_Object([(key, child)]), limits)))


def _lines(value: Any, limits: ParseLimits) -> Iterator[str]:
    """`path: value` for each leaf, in order. Walks with a stack of its own: depth is a limit, not a crash."""
    stack: list[tuple[str, int, Any]] = [("", 0, value)]
    written = 0
    while stack:
        path, depth, node = stack.pop()
        written += len(path)
        if depth > limits.max_nesting:
            raise _too_deep()
        if written > limits.max_text_chars:
            # Long paths repeated before many small values outgrow the input.
            raise InvalidInput(
                Reason.TEXT_TOO_LARGE, "the keys of the JSON add up to too much text; split the document"
            )
        if isinstance(node, _Object):
            children = [(_join(path, key), depth + 1, child) for key, child in node]
            stack.extend(reversed(children))
        elif isinstance(node, list):
            if all(not isinstance(item, list) for item in node):
                yield _leaf(path, ", ".join(_scalar(item) for item in node))
            else:
                stack.extend((path, depth + 1, item) for item in reversed(node))
        else:
            yield _leaf(path, _scalar(node))


def _join(path: str, key: str) -> str:
    return f"{path}.{key[:_MAX_KEY_CHARS]}" if path else key[:_MAX_KEY_CHARS]


def _leaf(path: str, value: str) -> str:
    return f"{path}: {value}" if path else value


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _title(value: Any) -> str:
    if isinstance(value, _Object):
        for key, child in value:
            if key.lower() in _TITLE_KEYS and isinstance(child, str):
                return child
    return ""


def _too_deep() -> InvalidInput:
    return InvalidInput(Reason.NESTING_TOO_DEEP, "the JSON is nested too deeply; flatten it")
