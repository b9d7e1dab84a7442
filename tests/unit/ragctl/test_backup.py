"""The file of `rag backup`, and what `rag backup` and `rag restore` refuse."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_core.errors import Exhausted, InvalidInput, Reason
from ragctl.app import run
from ragctl.backup.archive import DATABASE, FILES, BackupReader, BackupWriter, Manifest, pack, unpack
from ragctl.backup.restore import MARKER
from ragctl.container.__main__ import main as container
from tests.support.small_disk import small_disk

KEY, OTHER = b"k" * 20 + b"0123456789ab", b"o" * 20 + b"0123456789ab"
DUMP = os.urandom(3 << 20)
SECRET = b"the secret of the index"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write(path: Path, key: bytes | None, *, schema: str = "0031") -> Path:
    (path.parent / "secret").write_bytes(SECRET)
    manifest = Manifest(platform="0.2.0", schema=schema, made_at="2026-11-30T08:00:00+00:00")
    with BackupWriter(path, manifest, key) as writer:
        writer.add(DATABASE, (DUMP[start : start + (1 << 20)] for start in range(0, len(DUMP), 1 << 20)))
        writer.add(FILES, [pack([("secrets/index", path.parent / "secret")])])
    return path


@pytest.mark.parametrize("key", [None, KEY])
def test_what_is_written_is_read_again_and_only_its_owner_may_read_it(tmp_path: Path, key: bytes | None) -> None:
    file = write(tmp_path / "backup", key)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with BackupReader(file, key) as reader:
        assert b"".join(reader.read(DATABASE)) == DUMP
        assert unpack(b"".join(reader.read(FILES))) == {"secrets/index": SECRET}
    readable = SECRET in file.read_bytes() or DUMP[:100] in file.read_bytes()
    assert readable == (key is None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "secret"]


def no_archive(path: Path) -> None:
    path.write_text("# Notes\n")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 2 << 20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[1 << 20] ^= 1
    path.write_bytes(content)


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def later(path: Path) -> None:
    rewrite(path, lambda members: said(members, format=99, platform="9.0.0"))


def without_salt(path: Path) -> None:
    rewrite(path, lambda members: said(members, salt="not hexadecimal"))


def said(members: dict[str, bytes], **changes: object) -> None:
    members["manifest.json"] = json.dumps({**json.loads(members["manifest.json"]), **changes}).encode()


def without_last_message(path: Path) -> None:
    rewrite(path, lambda members: members.update({DATABASE: members[DATABASE][: 2 * ((1 << 20) + 20)]}))


BAD: list[tuple[Callable[[Path], None], bytes | None, bytes | None, Reason]] = [
    (no_archive, None, None, Reason.BACKUP_INVALID),
    (lambda path: path.unlink(), None, None, Reason.UNREADABLE),
    (cut, None, None, Reason.BACKUP_INVALID),
    (cut, KEY, KEY, Reason.BACKUP_INVALID),
    (flip, None, None, Reason.BACKUP_INVALID),
    (flip, KEY, KEY, Reason.BACKUP_INVALID),
    (without_last_message, KEY, KEY, Reason.BACKUP_INVALID),
    (lambda _: None, KEY, OTHER, Reason.BACKUP_KEY),
    (lambda _: None, KEY, None, Reason.BACKUP_KEY),
    (later, None, None, Reason.BACKUP_VERSION),
    (without_salt, KEY, KEY, Reason.BACKUP_INVALID),
]


@pytest.mark.parametrize(("damage", "key", "given", "reason"), BAD)
def test_a_file_that_cannot_be_restored_is_refused_by_name_before_anything_is_written(
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    key: bytes | None,
    given: bytes | None,
    reason: Reason,
) -> None:
    file = write(tmp_path / "backup", key)
    damage(file)
    (tmp_path / "key").write_bytes(given or b"")
    options = ["--key-file", str(tmp_path / "key")] if given else []
    assert run(["restore", str(file), *options]) in {2, 4}
    assert f"rag: {reason}: " in capsys.readouterr().err
    assert not home.exists()


def test_a_backup_of_a_later_schema_and_a_folder_that_holds_something_are_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["restore", str(write(tmp_path / "later", None, schema="9999"))]) == 2
    assert "BACKUP_VERSION" in capsys.readouterr().err
    home.mkdir()
    (home / "notes.md").write_text("mine")
    assert run(["restore", str(write(tmp_path / "backup", None))]) == 2
    assert "HOME_NOT_EMPTY" in capsys.readouterr().err
    assert [path.name for path in home.iterdir()] == ["notes.md"]


@pytest.mark.parametrize("name", ["../escaped", "/etc/escaped", "secrets/../../escaped"])
def test_a_name_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="leads out of its folder"):
        unpack(pack([(name, tmp_path / "file")]))


def test_a_backup_is_refused_where_it_would_be_lost_or_unsafe(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(*arguments: str) -> str:
        assert run(["backup", *arguments]) == 2
        return capsys.readouterr().err

    (tmp_path / "there").write_text("x")
    (tmp_path / "key").write_text("short")
    assert "there is no stack" in refusal(str(tmp_path / "new"))
    assert "exists: name another file" in refusal(str(tmp_path / "there"))
    assert "inside RAG_HOME" in refusal(str(home / "backup"))
    assert "SECRET_WEAK" in refusal(str(tmp_path / "new"), "--key-file", str(tmp_path / "key"))
    monkeypatch.setenv("RAG_DATABASE_URL", "postgresql://rag@db.example.com/rag")
    assert "--no-database" in refusal(str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_the_small_files_alone_go_into_an_empty_folder(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = {
        "secrets/index-secret": "s" * 40,
        "sources/acme/docs.yaml": "type: x\n",
        "erasures.jsonl": "",
        "stack.env": "",
    }
    for name, text in held.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    assert run(["backup", str(tmp_path / "backup"), "--no-database", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["files"] == len(held)
    home.rename(tmp_path / "lost")
    (home / "secrets").mkdir(parents=True)  # what an interrupted restore left
    (home / "secrets" / "half").touch()
    (home / MARKER).touch()
    assert run(["restore", str(tmp_path / "backup")]) == 0
    assert "restore yours with its own tools" in capsys.readouterr().out
    assert {name: (home / name).read_text() for name in held} == held
    assert not (home / "secrets" / "half").exists()
    assert not (home / MARKER).exists()
    assert stat.S_IMODE((home / "secrets/index-secret").stat().st_mode) == 0o600


def test_the_cron_job_of_the_chart_keeps_the_newest_files(home: Path, tmp_path: Path) -> None:
    (home / "sources").mkdir(parents=True)
    (home / "sources" / "docs.yaml").write_text("type: x\n")
    (tmp_path / "key").write_bytes(KEY)
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("rag-20260101T000000Z.ragbackup", "rag-20260102T000000Z.ragbackup"):
        (kept / name).touch()
    assert container(["backup", str(kept), "2", str(tmp_path / "key")]) == 0
    oldest, newest = sorted(kept.iterdir())
    assert oldest.name == "rag-20260102T000000Z.ragbackup"
    with BackupReader(newest, KEY) as reader:
        assert "sources/docs.yaml" in unpack(b"".join(reader.read(FILES)))


@pytest.mark.root
def test_a_full_disk_ends_a_backup_with_its_name_and_leaves_no_half_of_one(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m") as folder:
        with pytest.raises(Exhausted) as refused:
            write(folder / "backup", KEY)
        assert refused.value.reason is Reason.STORAGE_FULL
        assert [path.name for path in folder.iterdir()] == ["secret"]
