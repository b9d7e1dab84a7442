"""The lexical encoder: what shares a term with what."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_core.retrieval.search import Sparse, encode_documents, encode_query
from rag_core.retrieval.search.lexical import AVERAGE_LENGTH, K1, QUERY_K, B


def _share(query: str, text: str) -> bool:
    (document,) = encode_documents([text])
    return bool(set(encode_query(query).indices) & set(document.indices))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("wing", "The WING."),
        ("wings", "wing"),
        ("flying", "it flies"),
        ("Ｆｕｌｌ", "full"),
        ("机翼", "关于机翼的实验"),
        ("機翼", "关于机翼的实验"),
        ("机翼", "關於機翼的實驗"),
        ("猫", "一只猫在睡觉"),
        ("カタカナ", "これはカタカナです"),
        ("한국", "한국어"),
        ("iso9001", "ISO9001 certified"),
        ("straße", "Straße"),
        ("Ελλάδα", "ελλάδα"),
        ("the who", "The Who"),
        ("naïve", "NAÏVE"),
    ],
)
def test_these_share_a_term(query: str, text: str) -> None:
    assert _share(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("wing", "swing"),
        ("翼机", "机翼"),
        ("the wing", "the rudder"),
        ("wing", "机翼"),
        ("...", "..."),
        ("", "text"),
        ("机翼", "机和翼"),
    ],
)
def test_these_share_none(query: str, text: str) -> None:
    assert not _share(query, text)


def test_a_stored_weight_is_bm25s_saturated_term_frequency() -> None:
    (document,) = encode_documents(["wing wing rudder"])
    norm = K1 * (1 - B + B * 3 / AVERAGE_LENGTH)
    assert sorted(document.values) == pytest.approx([(K1 + 1) / (1 + norm), 2 * (K1 + 1) / (2 + norm)])


def test_the_length_of_chinese_is_counted_in_characters() -> None:
    (document,) = encode_documents(["机翼机翼"])
    norm = K1 * (1 - B + B * 4 / AVERAGE_LENGTH)
    weights = sorted({round(value, 6) for value in document.values})
    assert weights == [round((K1 + 1) / (1 + norm), 6), round(2 * (K1 + 1) / (2 + norm), 6)]


def test_a_repeated_query_word_weighs_more_but_saturates() -> None:
    weights = [encode_query("wing " * count).values[0] for count in (1, 2, 1000)]
    assert weights[0] == pytest.approx(1)
    assert weights[1] == pytest.approx(2 * (QUERY_K + 1) / (2 + QUERY_K))
    assert weights[2] < QUERY_K + 1


def test_stop_words_weigh_nothing_beside_others() -> None:
    assert encode_query("what is the wing") == encode_query("wing")


@given(st.text(max_size=300))
def test_any_text_gives_a_well_formed_vector(text: str) -> None:
    for sparse in (encode_query(text), *encode_documents([text])):
        assert sparse.indices == sorted(set(sparse.indices))
        assert all(0 <= index < 2**32 for index in sparse.indices)
        assert all(math.isfinite(value) and value > 0 for value in sparse.values)


def test_lone_surrogates_do_not_break_it() -> None:
    assert encode_query("\ud800") == Sparse([], [])
    assert encode_documents(["\ud800 wing"])[0].indices
