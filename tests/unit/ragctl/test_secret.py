"""`rag secret set`: a credential that sources use at once, in no database, log or output."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from rag_core.content.sources import SecretRef, store_secret
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
    assert b"pass phrase" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert run(["secret", "list", "--output", "json"]) == 0
    printed = capsys.readouterr()
    assert "pass phrase" not in printed.out + printed.err
    assert json.loads(printed.out[printed.out.index("{\n") :])["data"] == ["RAG_SECRET_SHOP_PASSWORD"]
    assert run(["secret", "remove", "RAG_SECRET_SHOP_PASSWORD"]) == 0
    assert run(["secret", "remove", "shop-password"]) != 0
    with pytest.raises(ConfigError):
        SHOP.read()


def test_a_secret_of_another_key_or_name_is_none_and_one_of_the_release_before_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    folder = tmp_path / "secrets" / "sources"
    folder.mkdir(parents=True)
    (folder / "RAG_SECRET_SHOP_PASSWORD").write_text("as it was")
    assert SHOP.read().get_secret_value() == "as it was"
    store_secret("RAG_SECRET_OTHER", "of another")
    (folder / "RAG_SECRET_OTHER").replace(folder / "RAG_SECRET_SHOP_PASSWORD")
    with pytest.raises(ConfigError, match="RAG_SECRET_SHOP_PASSWORD is not set"):
        SHOP.read()
    store_secret("RAG_SECRET_SHOP_PASSWORD", "mine")
    key = tmp_path / "secrets" / "sources.key"
    assert (key.stat().st_mode & 0o777, len(key.read_bytes())) == (0o600, 32)
    key.write_bytes(bytes(32))
    with pytest.raises(ConfigError):
        SHOP.read()


def test_a_rotated_key_takes_every_secret_with_it_and_the_old_one_opens_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    for step in ("rotate", "retire"):
        assert run(["secret", step, "sources"]) == 2  # there is no key yet
    key, folder = tmp_path / "secrets" / "sources.key", tmp_path / "secrets" / "sources"
    store_secret("RAG_SECRET_SHOP_PASSWORD", "mine")
    (folder / "RAG_SECRET_LOST").write_bytes(b"rag-sealed-1\n" + bytes(40))
    old, before = key.read_bytes(), (folder / "RAG_SECRET_SHOP_PASSWORD").read_bytes()
    assert run(["secret", "rotate", "sources"]) == 0
    assert SHOP.read().get_secret_value() == "mine"
    assert (folder / "RAG_SECRET_SHOP_PASSWORD").read_bytes() != before
    (folder / "RAG_SECRET_SHOP_PASSWORD").write_bytes(before)  # by a process that had read the old key
    assert SHOP.read().get_secret_value() == "mine"
    assert run(["secret", "retire", "sources"]) == 0
    assert "RAG_SECRET_LOST" in capsys.readouterr().out
    assert SHOP.read().get_secret_value() == "mine"
    assert (key.stat().st_mode & 0o777, len(key.read_bytes())) == (0o600, 32)
    key.write_bytes(old)
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
