"""Textile becomes the Markdown that says the same."""

from __future__ import annotations

import time

import pytest

from rag_assets.connectors.redmine.markup import markdown


@pytest.mark.parametrize(
    ("textile", "expected"),
    [
        ("h1. Oil\r\n\r\nh3(#anchor). Seals", "# Oil\n\n### Seals"),
        ("# one\n## two\n* three\n** four", "1. one\n   1. two\n- three\n   - four"),
        ("bq. Said so.", "> Said so."),
        ('See "the manual":https://acme.example/m and [[Pumps|all pumps]], [[Start]].',
         "See [the manual](https://acme.example/m) and all pumps, Start."),
        ('Run\n<pre><code class="sh">\n# rm x\nh1. no\n</code></pre>\nh2. After',
         "Run\n\n```\n# rm x\nh1. no\n```\n\n## After"),
        ("<pre>open", "\n```\nopen\n```\n"),
        ("In the middle h1. of * a # line.", "In the middle h1. of * a # line."),
    ],
)  # fmt: skip
def test_structure_of_textile_is_kept(textile: str, expected: str) -> None:
    assert markdown(textile, "textile") == expected


def test_markdown_stays_as_it_is_but_for_links_to_pages() -> None:
    assert markdown("# Oil\n\n* see [[Pumps|all pumps]]", "markdown") == "# Oil\n\n* see all pumps"


@pytest.mark.parametrize("text", ["<pre>", "[[", '"a":', "[[a|", "h1(", "*" * 9])
def test_hostile_text_takes_no_longer_than_its_length(text: str) -> None:
    started = time.process_time()
    markdown(text * (500_000 // len(text)), "textile")
    assert time.process_time() - started < 5
