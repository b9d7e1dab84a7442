"""`make docs`: the site of docs/, searched in the browser; fails on a broken link and on what is loaded from elsewhere.

`build_docs.py [FOLDER]` writes it there (default: site/). Links to pages beside docs/ lead to copies of these pages; a
link to code keeps its text, because the code is not on the site.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BESIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Pages at the root of the repository that the docs link to."""
_LINK = re.compile(r"(?<!!)\[([^\[\]]{1,400})\]\(([^()\s]{1,400})\)")
_LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src"}
_ABOUT_ITSELF = {"canonical", "prev", "next"}


def stage(target: Path) -> None:
    """Copy the pages, with the links that hold on the site."""
    shutil.copytree(DOCS, target / "docs")
    for name in BESIDE:
        (target / "docs" / name).write_text(_rewritten(ROOT / name), "utf-8")
    for path in sorted(DOCS.rglob("*.md")):
        (target / "docs" / path.relative_to(DOCS)).write_text(_rewritten(path), "utf-8")
    (target / "docs" / "site.toml").replace(target / "zensical.toml")


def _rewritten(page: Path) -> str:
    staged = page.relative_to(DOCS) if page.is_relative_to(DOCS) else Path(page.name)
    return _LINK.sub(lambda found: _link(found[0], found[1], found[2], page, staged), page.read_text("utf-8"))


def _link(whole: str, text: str, link: str, page: Path, staged: Path) -> str:
    if urlsplit(link).scheme or link.startswith("#"):
        return whole
    target, mark, anchor = link.partition("#")
    found = (page.parent / unquote(target)).resolve()
    if found.is_relative_to(DOCS) and found.is_file():
        on_site = found.relative_to(DOCS)
    elif found.parent == ROOT and found.name in BESIDE:
        on_site = Path(found.name)
    else:
        return text
    return f"[{text}]({Path(os.path.relpath(on_site, staged.parent)).as_posix()}{mark}{anchor})"


class _Page(HTMLParser):
    """What a page offers, links to and loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and (link := given.get("href")):
            self.links.append(link)
        if tag in _LOADED and given.get("rel") not in _ABOUT_ITSELF and (place := given.get(_LOADED[tag])):
            self.loaded.append(place)


def problems(site: Path) -> list[str]:
    """Links that lead nowhere, and what would be loaded from another host."""
    pages = {path.resolve(): _Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        found += [f"{name}: loads {place}" for place in page.loaded if urlsplit(place).netloc]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                found.append(f"{name}: {link} does not exist")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{name}: {link} has no such heading")
    return found


def main() -> int:
    """Build the site and check it."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site").absolute()
    with tempfile.TemporaryDirectory(prefix="rag-docs-") as folder:
        work = Path(folder)
        stage(work)
        command = [str(Path(sys.executable).parent / "zensical"), "build", "--clean", "--strict"]
        built = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        if built.returncode:
            print(built.stdout + built.stderr, file=sys.stderr)
            return 1
        wrong = problems(work / "site")
        print(*wrong, sep="\n", file=sys.stderr)
        if not wrong:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(work / "site", target)
            print(f"the site is in {target}: open index.html, or `python3 -m http.server --directory {target}`")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
