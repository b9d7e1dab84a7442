from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.connectors.filesystem import names
from rag_core.errors import Reason
from tests.unit.rag_assets.connectors.conftest import Open
from tests.unit.rag_assets.connectors.listings import item, locators, problems

_SEGMENT = st.binary(min_size=1, max_size=30).filter(
    lambda raw: b"/" not in raw and b"\0" not in raw and raw not in (b".", b"..") and not raw.startswith((b"~", b"\\"))
)


@given(st.lists(_SEGMENT.filter(lambda raw: raw[1:2] != b":"), min_size=1, max_size=4))
def test_every_name_has_a_storable_locator_that_leads_back_to_it(segments: list[bytes]) -> None:
    path = os.fsdecode(b"/".join(segments))
    locator = names.encode(path)
    locator.encode("utf-8")
    assert not any(ord(char) < 32 for char in locator)
    assert os.fsencode("/".join(names.decode(locator))) == b"/".join(segments)


@pytest.mark.catalogue("B12")
@pytest.mark.parametrize(
    ("name", "locator"),
    [
        (b"caf\xe9.txt", "caf%E9.txt"),
        ("naïve 文档.md".encode(), "naïve 文档.md"),
        (b"100%.txt", "100%.txt"),
        (b"100%41.txt", "100%2541.txt"),
        (b"line\nbreak", "line%0Abreak"),
        ("invoice\u202efdp.exe".encode(), "invoice%E2%80%AEfdp.exe"),
        ("zero\u200bwidth".encode(), "zero%E2%80%8Bwidth"),
    ],
)
def test_unsafe_bytes_in_names_are_escaped_and_the_file_is_found_again(
    root: Path, connect: Open, name: bytes, locator: str
) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_text("found")
    connector = connect()
    assert locators(connector) == [locator]
    assert connector.fetch(item(connector, locator)).content == b"found"


def test_names_that_differ_only_in_their_normal_form_stay_apart(root: Path, connect: Open) -> None:
    (root / "e\u0301.txt").write_text("decomposed")
    (root / "\u00e9.txt").write_text("composed")
    assert len(set(locators(connect()))) == 2


def test_a_path_too_long_to_store_is_reported_under_a_short_locator(root: Path, connect: Open) -> None:
    folder = root
    for _ in range(10):
        folder = folder / ("x" * 240)
        folder.mkdir()
    (folder / "a.txt").write_text("a")
    (problem,) = problems(connect()).values()
    assert problem.reason == Reason.FIELD_INVALID
    assert not names.is_too_long(problem.locator)
