"""`rag secret set`: a credential that sources use at once, in no database, log or output."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from rag_core.content.sources import SecretRef
from rag_core.errors import ConfigError
from ragctl.app import run

SHOP = SecretRef(env="RAG_SECRET_SHOP_PASSWORD")


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_stored_secret_is_used_at_once_replaced_listed_by_name_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="RAG_SECRET_SHOP_PASSWORD is not set"):
        SHOP.read()
    for value in ("first", "pass phrase of ours"):
        typed(monkeypatch, f"{value}\n")
        assert run(["secret", "set", "shop-password"]) == 0
        assert SHOP.read().get_secret_value() == value
    monkeypatch.setenv("RAG_SECRET_SHOP_PASSWORD", "the variable wins")
    assert SHOP.read().get_secret_value() == "the variable wins"
    monkeypatch.delenv("RAG_SECRET_SHOP_PASSWORD")
    (file,) = (tmp_path / "secrets" / "sources").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert run(["secret", "list", "--output", "json"]) == 0
    printed = capsys.readouterr()
    assert "pass phrase" not in printed.out + printed.err
    assert json.loads(printed.out[printed.out.index("{\n") :])["data"] == ["RAG_SECRET_SHOP_PASSWORD"]
    assert run(["secret", "remove", "RAG_SECRET_SHOP_PASSWORD"]) == 0
    assert run(["secret", "remove", "shop-password"]) != 0
    with pytest.raises(ConfigError):
        SHOP.read()


@pytest.mark.parametrize(("name", "value"), [("../x", "a"), ("a b", "a"), ("a", ""), ("a", "x\0"), ("a", "x" * 70_000)])
def test_what_is_no_name_or_no_secret_is_refused(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    typed(monkeypatch, value)
    assert run(["secret", "set", name]) == 2
    assert list(tmp_path.iterdir()) == []
