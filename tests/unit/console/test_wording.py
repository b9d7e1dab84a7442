"""Both languages say everything. The browser tests of whole stacks run seldom: what they look for in the console must
be what it says."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from generate_catalogues import CATALOGUES, extract, files_of, update
from hatchling.builders.wheel import WheelBuilder

import console
from console.i18n import N_, explain_reason, language_of, translate
from console.presenters.conditions import remedy
from rag_core import reasons
from rag_core.errors import Reason
from rag_core.ingestion.source_status import SENTENCES
from ragproto.admin.v1 import admin_pb2

ROOT = Path(console.__file__).parent
PO = CATALOGUES / "zh/LC_MESSAGES/console.po"
FIELDS = re.compile(r"\{(\w+)\}")


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with PO.open("rb") as file:
        return read_po(file)


def texts(catalogue: Catalog, context: str | None = None) -> dict[str, str]:
    return {str(one.id): str(one.string or "") for one in catalogue if one.id and one.context == context}


def extracted(source: str) -> list[str]:
    return [text for _, _, text, _ in extract(io.BytesIO(source.encode()), (), (), {})]


def test_the_catalogue_has_each_text_of_the_code_and_no_other_and_its_compiled_form_is_of_today() -> None:
    differs = [path.name for path, content in files_of(PO).items() if path.read_bytes() != content]
    assert differs == [], "run `make generate`, then translate what is new in console.po"


def test_every_text_has_a_translation_that_somebody_read(catalogue: Catalog) -> None:
    assert [one.id for one in catalogue if one.id and (not one.string or one.fuzzy)] == []


def test_the_wheel_has_the_compiled_catalogue() -> None:
    files = {file.distribution_path for file in WheelBuilder(str(ROOT.parent)).recurse_included_files()}
    assert "console/i18n/zh/LC_MESSAGES/console.mo" in files


@pytest.mark.parametrize(("source", "expected"), [
    ("t('a', n=1)", ["a"]), ("st.text(f\"**{t('a')}**\")", ["a"]), ("t('a' if x else 'b')", ["a", "b"]),
    ("S = N_({'key': 'a', 2: (None, 'b')})", ["a", "b"]), ("t({'key': 'a'}['key'])", ["a"]), ("t(row['a'])", []),
    ("t('a' 'b')", ["ab"]), ("Todo('a', 'page', (), 'b')", ["a", "b"]), ("other('a')", []), ("t('')", []),
])  # fmt: skip
def test_what_is_extracted(source: str, expected: list[str]) -> None:
    assert extracted(source) == expected


def test_an_update_adds_new_texts_and_removes_old_ones_and_keeps_translations() -> None:
    old, code = Catalog(locale="zh"), Catalog()
    old.add("kept", "保留")
    old.add("removed", "删除")
    code.add("kept")
    code.add("new")
    update(old, code)
    assert texts(old) == {"kept": "保留", "new": ""}


@pytest.mark.parametrize(("english", "fuzzy"), [("Shorten it.", False), ("Shorten it to 100 characters.", True)])
def test_a_reason_whose_english_changed_must_be_read_again(english: str, fuzzy: bool) -> None:
    old, code = Catalog(locale="zh"), Catalog()
    old.add("QUERY_TOO_LONG", "请缩短。", context="reason", auto_comments=["Shorten", "it."])  # as Babel wraps it
    code.add("QUERY_TOO_LONG", context="reason", auto_comments=[english])
    update(old, code)
    assert old.get("QUERY_TOO_LONG", "reason").fuzzy is fuzzy


def test_a_mark_changes_nothing() -> None:
    assert N_("text") == "text"
    assert N_({"a": "b"}) == {"a": "b"}


def test_no_list_shows_words_of_streamlit_while_nothing_is_chosen() -> None:
    calls = [
        node
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "multiselect"
    ]
    assert calls
    assert [node.lineno for node in calls if "placeholder" not in {one.arg for one in node.keywords}] == []


def test_every_state_of_a_source_is_said_in_chinese(catalogue: Catalog) -> None:
    assert sorted({*SENTENCES.values()} - texts(catalogue).keys()) == []


def test_every_reason_code_is_explained_in_chinese(catalogue: Catalog) -> None:
    assert texts(catalogue, "reason").keys() == {reason.value for reason in Reason}


def test_in_chinese_too_only_a_run_says_what_happens_next(catalogue: Catalog) -> None:
    codes, in_runs = texts(catalogue, "reason"), texts(catalogue, "reason in a run")
    assert in_runs.keys() == {str(code) for code in reasons.IN_RUNS}
    assert [code for code, said in codes.items() if "下次运行" in said or "会自动重试" in said] == ["KEYS_UNAVAILABLE"]
    assert explain_reason("zh", "UNREADABLE") == codes["UNREADABLE"]
    assert explain_reason("zh", "UNREADABLE", in_run=True) == codes["UNREADABLE"] + in_runs["UNREADABLE"]


@pytest.mark.parametrize(("language", "code"), [("en", "UNREADABLE"), ("zh", "NO_SUCH_CODE"), ("zh", "")])
def test_a_reason_has_no_meaning_in_english_or_when_its_code_is_unknown(language: str, code: str) -> None:
    assert explain_reason(language, code, in_run=True) == ""


def test_what_to_do_about_a_source_is_said_in_the_language_of_the_page() -> None:
    failed = admin_pb2.SourceCondition(reason="SOURCE_DENIED", remedy="Check the secret and the grants.")
    assert remedy(failed, "en") == failed.remedy
    assert remedy(failed, "zh") == explain_reason("zh", "SOURCE_DENIED")
    stale = admin_pb2.SourceCondition(remedy="See `rag source history a`, then `rag source sync a`.")
    assert remedy(stale, "zh") == "`rag source history a` `rag source sync a`"


def test_a_translation_has_the_same_fields_as_its_sentence(catalogue: Catalog) -> None:
    wrong = [text for text, chinese in texts(catalogue).items()
             if sorted(FIELDS.findall(text)) != sorted(FIELDS.findall(chinese))]  # fmt: skip
    assert wrong == []


@pytest.mark.parametrize(("language", "text", "shown"), [
    ("zh", "no such sentence {n}", "no such sentence 1"), ("zh", "", ""), ("en", "Ask", "Ask"), ("fr", "Ask", "Ask"),
    ("zh", "Ask", "提问"), ("zh", "{place}, page {page}", "a，第 2 页"),
])  # fmt: skip
def test_a_sentence_is_said_in_the_language_and_in_english_without_a_translation(
    language: str, text: str, shown: str
) -> None:
    assert translate(language, text, n=1, place="a", page=2) == shown


@pytest.mark.parametrize(("preferred", "language"), [
    ("zh-CN", "zh"), ("fr-FR, zh;q=0.8, en;q=0.5", "zh"), ("en-GB", "en"), ("fr", "en"), ("", "en"),
])  # fmt: skip
def test_the_language_is_the_first_preferred_one_that_there_is(preferred: str, language: str) -> None:
    assert language_of(preferred) == language


def test_no_page_is_longer_than_150_lines_or_renders_html() -> None:
    for path in ROOT.rglob("*.py"):
        text = path.read_text("utf-8")
        assert "unsafe_allow" not in text, path
        assert "st.html" not in text, path
        if path.parent.name == "screens":
            assert len(text.splitlines()) <= 150, path


FAULTS = Path(__file__).parents[2] / "faults"
BROWSERS = sorted(path for path in FAULTS.glob("*.py") if "playwright" in path.read_text("utf-8"))
STREAMLIT = frozenset({"Clear all"})
"""Texts of the framework."""
NAMED = {"get_by_role": (), "get_by_label": (0,), "get_by_placeholder": (0,), "go": (1,), "act": (1, 3)}
"""Which arguments of a call are texts of the console, beside `name`. The reason that `act` types is none."""


def named_texts(tree: ast.Module) -> Iterator[str]:
    """Names of buttons, fields and pages, and what an action says."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name not in NAMED:
            continue
        given = [call.args[at] for at in NAMED[name] if at < len(call.args)]
        named = [keyword.value for keyword in call.keywords if keyword.arg == "name"]
        yield from (
            one.value for one in (*given, *named) if isinstance(one, ast.Constant) and isinstance(one.value, str)
        )


def says(message: str, text: str) -> bool:
    """Whether the console's message, filled in, has this text."""
    blank, filled = re.sub(r"\{[^}]*\}", "0", message), re.sub(r"\d+", "0", text)
    any_values = ".+".join(map(re.escape, re.split(r"\{[^}]*\}", message)))
    return filled in blank or (len(any_values) > 20 and re.fullmatch(any_values, text) is not None)


@pytest.mark.parametrize("path", BROWSERS, ids=lambda path: path.stem)
def test_what_a_browser_test_names_is_a_text_of_the_console(path: Path) -> None:
    with (CATALOGUES / "zh/LC_MESSAGES/console.po").open("rb") as file:
        messages = [str(one.id) for one in read_po(file) if not one.context]
    named = set(named_texts(ast.parse(path.read_text("utf-8")))) - STREAMLIT
    assert {text for text in named if not any(says(message, text) for message in messages)} == set()
