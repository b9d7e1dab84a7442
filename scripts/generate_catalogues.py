"""Update the gettext catalogues of the console (below console/i18n) and compile them; --check compares instead.

New texts are added without a translation, texts that the code no longer has are removed. A reason code whose English
changed is marked fuzzy: read its translation again and remove the mark. tests/unit/console/test_wording.py fails
until every text is translated.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from rag_core.ingestion.source_status import SENTENCES
from rag_core.reasons import IN_RUNS, REASONS

ROOT = Path(__file__).resolve().parent.parent
CATALOGUES = ROOT / "console" / "i18n"

TEXTS = {
    **dict.fromkeys(("t", "N_", "word", "load_or_report", "problem", "_unavailable"), (0,)),
    "translate": (1,),
    "HealthRow": (0, 2),
    "Todo": (0, 3),
    "VisibilityReason": (1,),
    "FormField": (1,),
    "Card": (1, 2),
    "Browse": (0,),
    "SourceKind": (2, 3),
}
"""Which arguments of which calls are texts of the console."""


def literals(node: ast.expr) -> Iterator[tuple[int, str]]:
    """Yield the strings that an expression may become: itself, the arms of a condition, the values of a table."""
    match node:
        case ast.Constant(value=str(text)) if text:
            yield node.lineno, text
        case ast.Dict(values=items) | ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
            for item in items:
                yield from literals(item)
        case ast.IfExp(body=first, orelse=second) | ast.BinOp(left=first, right=second):
            yield from literals(first)
            yield from literals(second)
        case ast.BoolOp(values=items):
            for item in items:
                yield from literals(item)
        case ast.Subscript(value=table) | ast.Starred(value=table):
            yield from literals(table)


def extract(file: Any, _keywords: object, _tags: object, options: object) -> Iterator[Any]:
    """Yield the texts of a Python file. Babel's own method joins both arms of a condition and reads no f-string."""
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for position in TEXTS.get(node.func.id, ()):
                for argument in node.args[position : position + 1]:
                    yield from ((line, None, text, []) for line, text in literals(argument))


def template() -> Catalog:
    """Return all texts that the console shows: those of its code, the states of sources, and the reason codes."""
    catalog = Catalog(charset="utf-8")
    found = extract_from_dir(ROOT / "console", [("**.py", extract)], directory_filter=lambda path: True)
    for name, _, text, _, _ in found:
        catalog.add(text, locations=[(f"console/{name}", 1)])
    cards = extract_from_dir(ROOT / "rag_assets" / "connectors", [("**/kind.py", extract)])
    for name, _, text, _, _ in cards:
        catalog.add(text, locations=[(f"rag_assets/connectors/{name}", 1)])
    for text in SENTENCES.values():
        catalog.add(text, locations=[("rag_core/ingestion/source_status", 1)])
    for code, (meaning, remedy) in REASONS.items():
        catalog.add(str(code), context="reason", auto_comments=[f"{meaning} {remedy}"])
    for code, english in IN_RUNS.items():
        catalog.add(str(code), context="reason in a run", auto_comments=[english])
    return catalog


def update(catalog: Catalog, texts: Catalog) -> None:
    """Give a catalogue exactly these texts, with the translations it has."""
    english = {(message.context, message.id): _joined(message) for message in catalog if message.string}
    catalog.update(texts, no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    for message in catalog:
        if message.id and english.get((message.context, message.id), _joined(message)) != _joined(message):
            message.flags.add("fuzzy")


def _joined(message: Message) -> str:
    return "".join("".join(message.auto_comments).split())  # Babel wraps comments


def files_of(path: Path) -> dict[Path, bytes]:
    """Return the content of a catalogue and of its compiled form."""
    with path.open("rb") as file:
        catalog = read_po(file)
    update(catalog, template())
    text, compiled = io.BytesIO(), io.BytesIO()
    write_po(text, catalog, width=0, include_lineno=False, sort_output=True)
    write_mo(compiled, catalog)
    return {path: text.getvalue(), path.with_suffix(".mo"): compiled.getvalue()}


def main() -> int:
    """Write the files, or name those that differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    stale = []
    for catalogue in sorted(CATALOGUES.glob("*/LC_MESSAGES/console.po")):
        for path, content in files_of(catalogue).items():
            if check and (not path.exists() or path.read_bytes() != content):
                stale.append(str(path.relative_to(ROOT)))
            elif not check:
                path.write_bytes(content)
    if stale:
        print("run `make generate`; out of date:", ", ".join(stale), file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
