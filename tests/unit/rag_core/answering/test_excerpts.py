"""What is shown of a place reads as a person would write it: from its beginning, with its steps, nothing left over."""

from __future__ import annotations

import pytest

from rag_core.answering import Abstained, Abstention, Outcome, Question
from rag_core.answering.asking import Asked, Wants, understand
from rag_core.answering.block_pieces import Piece, PieceKind
from rag_core.answering.excerpts import Extract
from rag_core.answering.extractive import decide
from rag_core.answering.rendering import render, trail
from tests.unit.rag_core.answering.test_extractive import ASKED, Meanings, answered, corpus

FAQ = """# Questions

## Why does history substitution not work?

Because the editor has a better way: recall the line and change it.

- Up recalls whole lines.
- Tab completes the substitution of a history entry.

## How do I set a prompt?

Write a function.
"""


async def test_a_heading_that_asks_is_answered_from_the_beginning_of_its_section() -> None:
    outcome = await answered("Why does substitution not work?", "Tab completes", hits=corpus(FAQ, "faq.md"))
    assert outcome.excerpts[0].text.startswith("Because the editor has a better way")
    assert "Tab completes" in outcome.excerpts[0].text


async def test_a_thing_within_another_is_defined_where_a_heading_names_it() -> None:
    guide = (
        "# Design\n\n## Snapshots\n\nA snapshot represents a folder at one time. It is a file of its own.\n\n"
        "## Removing\n\nSpace is finite, so the snapshots of restic can be removed by a policy.\n"
    )
    outcome = await answered("What is a snapshot in restic?", "represents", hits=corpus(guide))
    assert outcome.excerpts[0].text.startswith("A snapshot represents a folder at one time.")


ERASE = (
    "# Erase\n\nThe value claim names a disk for the erasure ledger; back it up apart.\n\n"
    "## What to save\n\n| what | where |\n|---|---|\n"
    "| the erasure ledger: what was erased for good | erasures.jsonl |\n"
)
VERIFY = (
    "# Operating\n\n## Is it well?\n\nAll is in one place. `rag verify` compares every row with every point.\n\n"
    "## Something is red\n\n| what | do |\n|---|---|\n| `rag verify` is not clean | run it again |\n"
)


@pytest.mark.parametrize(
    ("guide", "question", "near", "said"),
    [
        (ERASE, "What is the erasure ledger?", "erasure ledger", "what was erased for good"),
        (VERIFY, "What does rag verify do?", "rag verify", "compares every row"),
    ],
    ids=["first sentence of another section", "row on its failure"],
)
async def test_a_mention_is_no_definition(guide: str, question: str, near: str, said: str) -> None:
    outcome = await answered(question, near, hits=corpus(guide))
    assert said in outcome.excerpts[0].text


async def test_the_steps_of_the_first_section_below_follow_their_introduction() -> None:
    guide = (
        "# Page numbers\n\n## Insert page numbers\n\nPage numbers can be inserted into any document.\n\n"
        "### In the footer\n\n1. Choose Insert.\n2. Choose Page number.\n"
    )
    outcome = await answered("How do I insert page numbers?", "can be inserted", hits=corpus(guide))
    assert "2. Choose Page number." in outcome.excerpts[0].text


async def test_a_list_that_is_announced_after_two_paragraphs_is_shown_with_the_rows_behind_a_cut() -> None:
    rows = "".join(f"| policy-{number} | Restart in case {number} of all cases |\n" for number in range(5))
    guide = (
        "# Run\n\n## Restart policies\n\nA restart policy says whether a container is started again.\n\n"
        f"These policies exist:\n\n| policy | result |\n|---|---|\n{rows}"
    )
    outcome = await answered("Which restart policies are there?", "says whether", hits=corpus(guide, tokens=40))
    assert "policy-4" in outcome.excerpts[0].text


async def test_a_sentence_that_says_what_will_be_said_is_no_answer() -> None:
    guide = "# Use it with S3\n\n## Preface\n\nThis tutorial will show you how to use it with an S3 bucket.\n"
    outcome = await answered("How do I use it with an S3 bucket?", "tutorial", hits=corpus(guide))
    assert outcome.outcome is Outcome.CLOSEST_PASSAGES


async def test_an_excerpt_does_not_end_with_what_announces_something_else() -> None:
    guide = "# Keys\n\n## Rotate a key\n\nRotate the key with one call of the tool.\n\nExamples:\n\n## Next\n\nMore.\n"
    outcome = await answered("How do I rotate a key?", "Rotate the key", hits=corpus(guide))
    assert outcome.excerpts[0].text.startswith("Rotate the key")
    assert "Examples" not in outcome.excerpts[0].text


async def test_the_title_of_a_box_that_is_not_shown_ends_no_excerpt() -> None:
    guide = (
        "# Backup\n\n## Back up with the tool\n\nThe tool copies the folders to a server every night.\n\n"
        "BACK TO BASICS The hard link, a second name for a file\n\n" + "A link counts as the file itself. " * 40
    )
    outcome = await answered("How do I back up with the tool?", "copies the folders", hits=corpus(guide))
    assert outcome.excerpts[0].text.startswith("The tool copies")
    assert "BACK TO BASICS" not in outcome.excerpts[0].text


@pytest.mark.parametrize(
    ("question", "subject"),
    [("什么是预置（preseeding）？", "预置"), ("What is LVM (Logical Volume Manager)?", "LVM"), ("What is LVM?", "LVM")],
)
def test_a_thing_that_is_asked_for_under_two_names_is_looked_for_under_the_first(question: str, subject: str) -> None:
    assert understand(question) == Asked(Wants.DEFINITION, subject=subject)


@pytest.mark.parametrize(
    ("question", "subject"),
    [("make down 做什么？", "make down"), ("守护进程是做什么的？", "守护进程"), ("sensor 干什么？", "sensor")],
)
def test_what_a_thing_does_is_asked_for_as_its_definition(question: str, subject: str) -> None:
    assert understand(question) == Asked(Wants.DEFINITION, subject=subject)


@pytest.mark.parametrize("question", ["谁能做什么？", "备份时要做什么？", "应该做什么？"])
def test_what_somebody_does_is_no_definition(question: str) -> None:
    assert understand(question).wants is Wants.FACT


async def test_of_a_question_of_common_words_the_one_that_asks_is_not_looked_for() -> None:
    guide = "# 手册\n\n## 谁能做什么\n\n角色决定谁能做什么。\n\n## 命令\n\n运行 make down 停止服务，数据保留。\n"
    outcome = await answered("make down 做什么？", "make down", hits=corpus(guide))
    assert outcome.excerpts[0].text.startswith("运行 make down")


async def test_chinese_words_that_ask_for_a_difference_are_not_looked_for() -> None:
    guide = "# 软件包\n\n## apt 与 aptitude\n\naptitude 命令有全屏界面，apt 命令没有。\n"
    outcome = await answered("apt 和 aptitude 有什么区别？", "aptitude", hits=corpus(guide))
    assert outcome.outcome is Outcome.ANSWERED


async def test_terms_without_descriptions_are_a_table_of_contents_and_no_answer() -> None:
    page = (
        "<h1>Chapter 13. Workstation</h1>"
        "<dl><dt>13.1. Configuring the display server</dt><dt>13.2. Display managers</dt></dl>"
        "<h2>13.2. Display managers</h2><p>A display manager shows the sign-in after the start.</p>"
    )
    outcome = await answered("What is a display manager?", "shows the", hits=corpus(page, "workstation.html"))
    assert "13.1" not in outcome.markdown
    assert "shows the sign-in" in outcome.excerpts[0].text


async def test_a_title_that_says_what_a_thing_is_is_said_once() -> None:
    guide = "# tailwind: logging that keeps its structure\n\nIt writes each event as one line of JSON with its keys.\n"
    outcome = await answered("What is tailwind?", "tailwind: logging", hits=corpus(guide, "tailwind.md"))
    assert outcome.markdown.count("logging that keeps its structure") == 1
    assert "one line of JSON" in outcome.excerpts[0].text


async def test_a_list_that_the_first_paragraph_below_a_title_announces_is_shown() -> None:
    guide = (
        "# tailwind: logging that keeps its structure\n\n"
        "It is a logging library for servers and tools with:\n\n- One line of JSON.\n"
    )
    outcome = await answered("什么是 tailwind？", "tailwind: logging", hits=corpus(guide, "tailwind.md"))
    assert "One line of JSON" in outcome.excerpts[0].text


@pytest.mark.parametrize(
    ("header", "rows", "markdown", "plain"),
    [
        (" | ", " | Note\n | Write to the disk.", "Note\n\nWrite to the disk.", "Note\nWrite to the disk."),
        ("key |  | value", "size |  | 9", "| key | value |\n| --- | --- |\n| size | 9 |", "size — value: 9"),
        ("", " | 350 | MB", "|  |  |\n| --- | --- |\n| 350 | MB |", "350 — MB"),
    ],
)
def test_empty_columns_and_boxes_around_notes_are_not_drawn(header: str, rows: str, markdown: str, plain: str) -> None:
    piece = Piece(PieceKind.TABLE, 0, 0, len(rows), rows, header=header)
    (excerpt,), _ = render([Extract("", "a.html", (), 0, (piece,))])
    assert excerpt.markdown.startswith(markdown)
    assert excerpt.text.startswith(plain)


@pytest.mark.parametrize(
    ("title", "headings", "shown"),
    [
        ("Guide — Project 1.0", ("Guide", "Install"), ["Guide — Project 1.0", "Install"]),
        ("Guide", ("Guide", "Guide", "Install"), ["Guide", "Install"]),
        ("Guidelines", ("Guide", "Install"), ["Guidelines", "Guide", "Install"]),
        ("notes.txt", (), ["notes.txt"]),
    ],
)
def test_a_title_with_the_name_of_its_site_stands_for_the_first_heading(
    title: str, headings: tuple[str, ...], shown: list[str]
) -> None:
    assert trail(title, headings) == shown


def test_the_first_line_of_code_that_was_cut_stands_where_the_others_do() -> None:
    from rag_core.answering.rendering import _plain

    text = "metadata: {}\n  quality: {}\n  options:\n    kind: folder"
    cut, whole = (Piece(PieceKind.CODE, 0, 0, len(text), text, cut=cut) for cut in (True, False))
    assert _plain(cut).split("\n")[:2] == ["    metadata: {}", "    quality: {}"]
    assert _plain(whole).split("\n")[:2] == ["    metadata: {}", "      quality: {}"]


@pytest.mark.parametrize(
    ("question", "says", "outcome"),
    [
        (
            "How do I give a user rights with sudo?",
            "The sudo program is designed for giving rights to a user.",
            Outcome.CLOSEST_PASSAGES,
        ),
        ("How do I give a user rights with sudo?", "Add a user to the group sudo to give rights.", Outcome.ANSWERED),
        (
            "Which boot parameters can the installer be started with?",
            "The installer can be started with boot parameters.",
            Outcome.CLOSEST_PASSAGES,
        ),
        (
            "Which boot parameters can the installer be started with?",
            "The installer can be started with the boot parameters lowmem, rescue and theme.",
            Outcome.ANSWERED,
        ),
        (
            "How do I suppress errors of a library?",
            "The suppression of errors is useful for a library that you cannot change.",
            Outcome.CLOSEST_PASSAGES,
        ),
        ("启动安装程序时可以使用哪些引导参数？", "启动安装程序时可以添加引导参数。", Outcome.CLOSEST_PASSAGES),
        ("启动安装程序时可以使用哪些引导参数？", "启动安装程序时可以使用引导参数 rescue、lowmem。", Outcome.ANSWERED),
    ],
)
async def test_a_sentence_without_steps_or_a_list_is_no_answer_where_they_are_asked_for(
    question: str, says: str, outcome: Outcome
) -> None:
    """It has all words of the question, and only says that there is a way, or that there is something."""
    found = await answered(question, says, hits=corpus(f"# Guide\n\n## Start\n\n{says}\n"))
    assert found.outcome is outcome


async def test_a_long_list_that_a_comparison_announces_is_shown_with_it() -> None:
    items = "".join(
        f"- Point {number}: the store has what the other one does not have, and does it well.\n" for number in range(8)
    )
    guide = f"# Stores\n\n## The store and the other one\n\nThe store does what the other one does. It adds:\n\n{items}"
    outcome = await answered(
        "What is the difference between the store and the other one?", "does what", hits=corpus(guide, tokens=400)
    )
    assert "It adds:" in outcome.excerpts[0].text
    assert "Point 7" in outcome.excerpts[0].text


async def test_of_two_sections_beside_each_other_that_which_names_the_task_comes_first() -> None:
    guide = (
        "# Back up and restore\n\n## Back up\n\n```sh\npg_dump -d rag > rag.dump\n```\n\n"
        "## Restore\n\nTo read the backup of the database, run:\n\n```sh\npg_restore -d database backup\n```\n"
    )
    outcome = await answered("How do I back up the database?", "pg_restore", hits=corpus(guide, tokens=400))
    assert "pg_dump" in outcome.excerpts[0].text


async def test_the_heading_of_a_reference_is_the_call_that_is_asked_for() -> None:
    guide = "# System\n\n## os.freemem()\n\nReturns the amount of free memory in bytes.\n"
    outcome = await answered("How do I get the amount of free memory?", "Returns the amount", hits=corpus(guide))
    assert outcome.outcome is Outcome.ANSWERED


async def test_numbered_titles_in_one_row_are_a_table_of_contents_and_no_answer() -> None:
    page = (
        "<h1>Memory</h1><table><tr><th>topic</th></tr>"
        "<tr><td>4.1. Lost memory 4.2. Memory that is possibly lost 4.3. Other tools</td></tr></table>"
    )
    hits = corpus(page, "faq.html")
    asked = Question("When is memory possibly lost?", hits, ASKED, embed=Meanings("4.1"))
    assert await decide(asked) == Abstained(Abstention.NOT_SUPPORTED)
