"""Check every relative link and anchor of the Markdown files; fails with a list of the broken ones."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent


def slug(heading: str) -> str:
    """The anchor GitLab makes of a heading."""
    text = re.sub(r"[^\w\- ]", "", heading.lower().strip())
    return re.sub(r"-+", "-", text.replace(" ", "-"))


def headings_and_links(path: Path) -> tuple[set[str], list[str]]:
    """Anchors that a Markdown file offers and targets that it links to."""
    anchors, links = set(), []
    tokens = MarkdownIt().parse(path.read_text("utf-8"))
    for position, token in enumerate(tokens):
        if token.type == "heading_open":
            anchors.add(slug(tokens[position + 1].content.replace("`", "")))
        for child in token.children or []:
            target = child.attrGet("href") or child.attrGet("src")
            if target:
                links.append(str(target))
    return anchors, links


def main() -> int:
    files = [path for path in ROOT.rglob("*.md") if not {".venv", ".rag"} & set(path.relative_to(ROOT).parts)]
    pages = {path.resolve(): headings_and_links(path) for path in files}
    broken = []
    for path, (_, links) in pages.items():
        for link in links:
            target, _, anchor = unquote(link).partition("#")
            if urlsplit(target).scheme:
                continue
            resolved = (path.parent / target).resolve() if target else path
            if not resolved.exists():
                broken.append(f"{path.relative_to(ROOT)}: {link} does not exist")
            elif anchor and resolved in pages and anchor not in pages[resolved][0]:
                broken.append(f"{path.relative_to(ROOT)}: {link} has no such heading")
    print(*broken, sep="\n", file=sys.stderr)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
