"""The checks of `make docs`: links that lead nowhere and whatever a page would load from elsewhere are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import build_docs


def test_links_of_the_docs_are_those_of_the_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, docs = tmp_path, tmp_path / "docs"
    (docs / "how-to").mkdir(parents=True)
    (docs / "site.toml").write_text("[project]\n")
    (root / "core.py").write_text("")
    for name in build_docs.BESIDE:
        (root / name).write_text("# Page\n\n[tutorial](docs/tutorial.md#start) and [code](core.py)\n")
    (docs / "tutorial.md").write_text("# Start\n")
    (docs / "how-to" / "a.md").write_text(
        "[in](../tutorial.md#start) [beside](../../CHANGELOG.md) [code](../../core.py) [folder](../how-to)"
        " [out](https://example.org/) [here](#a) ![picture](../images/a.png)\n"
    )
    monkeypatch.setattr(build_docs, "ROOT", root)
    monkeypatch.setattr(build_docs, "DOCS", docs)
    build_docs.stage(tmp_path / "staged")
    staged = tmp_path / "staged" / "docs"
    assert (staged / "how-to" / "a.md").read_text() == (
        "[in](../tutorial.md#start) [beside](../CHANGELOG.md) code folder"
        " [out](https://example.org/) [here](#a) ![picture](../images/a.png)\n"
    )
    assert "[tutorial](tutorial.md#start) and code" in (staged / "CHANGELOG.md").read_text()


def test_a_broken_link_and_what_is_loaded_from_elsewhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text('<h1 id="b">B</h1>')
    (tmp_path / "a.html").write_text(
        '<link rel="canonical" href="https://example.org/"><script src="https://cdn.example.org/x.js"></script>'
        '<img src="a.png"><a href="b.html#b">B</a><a href="b.html#c">C</a><a href="c.html">C</a><a href="https://x">X</a>'
    )
    assert build_docs.problems(tmp_path) == [
        "a.html: loads https://cdn.example.org/x.js",
        "a.html: b.html#c has no such heading",
        "a.html: c.html does not exist",
    ]
