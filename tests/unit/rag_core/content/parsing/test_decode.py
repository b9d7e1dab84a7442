from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_core.content.parsing import decode
from rag_core.content.parsing.clean import clean
from rag_core.errors import InvalidInput, Reason
from tests.unit.rag_core.content.parsing.conftest import Read

CHINESE = "这是一份用于测试的中文文档，里面包含了足够多的文字，以便编码检测能够可靠地工作。"
TAIWANESE = "這是一份用於測試的繁體中文文件，裡面包含了足夠多的文字，以便編碼偵測能夠可靠地運作。"
FRENCH = "Les élèves ont été très étonnés par la leçon de français donnée à l'école près de la forêt."


@pytest.mark.catalogue("B33")
@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "utf-8"),
        (CHINESE, "utf-8-sig"),
        (CHINESE, "utf-16"),
        (CHINESE, "utf-32"),
        (CHINESE, "gb18030"),
        (CHINESE, "gb2312"),
        (TAIWANESE, "big5"),
        (FRENCH, "latin-1"),
        ("The café costs £5 – “cheap”.", "cp1252"),
        ("plain ASCII as UTF-16 without a mark", "utf-16-le"),
        ("plain ASCII as UTF-16 without a mark", "utf-16-be"),
    ],
)
def test_known_encodings_are_decoded(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.catalogue("B33")
def test_long_text_in_a_legacy_encoding_is_decoded_whole() -> None:
    text = (CHINESE + "\n") * 5000
    assert decode(text.encode("gb18030")) == text


@pytest.mark.catalogue("B33")
def test_declared_encoding_is_believed_when_it_fits() -> None:
    page = "<html><meta charset=gb2312><p>镕基</p>"  # the first character is GBK, not GB 2312
    assert decode(page.encode("gbk")) == page
    assert decode("naïve".encode("latin-1"), "text/plain; charset=iso-8859-1") == "naïve"


@pytest.mark.catalogue("B33")
def test_a_declaration_cannot_name_a_codec_that_is_no_encoding() -> None:
    assert decode(b"<meta charset=rot13>caf\xe9").startswith("<meta charset=rot13>caf")


@pytest.mark.catalogue("B33")
@pytest.mark.parametrize(
    "content", [CHINESE.encode() + bytes(range(0x80, 0x100)), os.urandom(4000).replace(b"\0", b"\xff")]
)
def test_what_fits_no_encoding_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput) as raised:
        decode(b"\xef\xbb\xbf" + content)
    assert raised.value.reason is Reason.ENCODING_UNKNOWN


@pytest.mark.catalogue("B33")
def test_a_damaged_byte_does_not_turn_utf8_into_another_encoding() -> None:
    text = "Install 安装 the package 软件包 now. "
    assert decode((text * 4).encode() + b"\xff" + text.encode()) == text * 4 + "\ufffd" + text


@pytest.mark.catalogue("B33")
def test_a_flood_of_replacement_characters_is_refused_whatever_the_format(read: Read) -> None:
    read("word " * 20 + "\ufffd", "a.txt")
    for name in ("a.txt", "a.md", "a.html"):
        with pytest.raises(InvalidInput) as raised:
            read("word " * 2 + "\ufffd" * 3, name)
        assert raised.value.reason is Reason.ENCODING_UNKNOWN


def test_text_is_storable_and_invisible_characters_are_flagged(read: Read) -> None:
    document = read('{"title": "\\ud800bad", "text": "ig\u200bnore nul\\u0000here \u202eabc"}', "a.json")
    assert document.title == "\ufffdbad"
    assert "ignore nulhere abc" in document.text
    assert document.flags == {"zero_width"}


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=200))
def test_clean_text_can_be_stored_and_cleaning_again_changes_nothing(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert "\0" not in cleaned
    assert "\r" not in cleaned
    assert clean(cleaned) == cleaned
