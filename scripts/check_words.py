"""Check that retired words do not come back: names of code, and phrases of comments, docstrings and pages.

docs/explanation/glossary.md defines the words of this project; everything else has the field's name.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

NAMES = {
    "bury": "soft_delete or add_dead_letters",
    "Pump": "ConsumerLoop",
    "Kit": "Transforms",
    "Kits": "TransformRegistry",
    "Withdrawals": "PendingRevocationCache",
    "Identities": "Authenticator",
    "open_parts": "open_dependencies",
    "ConcurrencyGate": "ConcurrencyLimiter",
    "EdgeUpkeep": "BackgroundOptimizer",
    "looking_connection": "observer_connection",
    "outside_of": "connector_context",
    "change_token": "version_tag",
    "forget_marks": "clear_indexed",
    "catch_up": "index_pending",
    "end_processes": "stop_processes",
    "last_words": "last_log_line",
    "Patience": "CircuitBreaker",
    "Pulse": "HealthCache",
}
"""Identifiers that were renamed, each with its present name. Strings may have them: columns and stored keys stay."""

PHRASES = ("anew", "whoever", "its kin", "lacking", "goes on", "nobody waits", "what is left of")
"""Turns of phrase that hide who does what: say return, report, read, poll, pending, again, continue."""

QUESTIONS = ("What", "Whether", "How", "Who", "Whom", "Whose", "Of", "Where", "When", "Why", "Which")
"""A docstring of the product does not begin with these: a function says with a verb what it does ("Return whether …",
"Count the …", "Show …"), a class or a field says with a noun what it is ("True when …", "Limit of …")."""

PRODUCT = ("rag_core/", "rag_assets/", "query_server/", "interfaces/", "ragctl/", "console/")

EXCEPTIONS = {
    ("scripts/check_words.py", "*"),
    ("CHANGELOG.md", "*"),  # what a release said is not rewritten
    ("docs/history/*.md", "*"),
}
"""At most five, as pairs of a pattern of paths and a word."""

_NAMES = re.compile(rf"\b(?:{'|'.join(NAMES)})\b")
_PHRASES = re.compile(rf"\b(?:{'|'.join(PHRASES)})\b", re.IGNORECASE)
_QUESTION = re.compile(rf'^ *"""((?:{"|".join(QUESTIONS)}) .*)', re.MULTILINE)


def code_of(source: str) -> str:
    """The names of Python source, each on its line; comments and strings are left out."""
    lines = [""] * (source.count("\n") + 2)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            lines[token.start[0] - 1] += f"{token.string} "
    return "\n".join(lines)


def excused(path: Path, word: str) -> bool:
    return any(path.match(pattern) and (allowed in ("*", word)) for pattern, allowed in EXCEPTIONS)


def findings(path: Path, source: str) -> list[str]:
    """Retired words of one file, with line and replacement."""
    found = []
    code = code_of(source) if path.suffix == ".py" and _NAMES.search(source) else ""
    for pattern, text in ((_NAMES, code), (_PHRASES, source)):
        for match in pattern.finditer(text):
            if not excused(path, match[0]):
                line = text.count("\n", 0, match.start()) + 1
                hint = f" (now {NAMES[match[0]]})" if match[0] in NAMES else ""
                found.append(f"{path}:{line}: {match[0]}{hint}")
    if str(path).startswith(PRODUCT):
        for match in _QUESTION.finditer(source):
            line = source.count("\n", 0, match.start()) + 1
            found.append(f"{path}:{line}: a docstring that begins with a question word: {match[1]}")
    return found


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "*.py", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [Path(name) for name in listed.stdout.split() if not name.startswith("ragproto/")]
    found = [
        line for path in paths if (ROOT / path).exists() for line in findings(path, (ROOT / path).read_text("utf-8"))
    ]
    print(*found, sep="\n", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
