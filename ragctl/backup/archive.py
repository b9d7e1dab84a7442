"""The file of `rag backup`: a ZIP archive with a manifest, small files and a database dump, encrypted with a key.

Encrypted members are a series of AES-256-GCM messages of one chunk each. Its number and whether it is the last are
authenticated, so that no chunk can be left out, repeated or exchanged. The manifest is not encrypted: it names the
version, the parameters of the key and a message by which a wrong key and a damaged file are distinguished.
"""

from __future__ import annotations

import errno
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from rag_core.errors import Exhausted, InvalidInput, Reason

FORMAT = 1
DATABASE, FILES = "rag.dump", "files.zip"
_MANIFEST = "manifest.json"
_NUMBERS = {DATABASE: 1, FILES: 2}
"""First part of the nonce of a member's messages: one key never meets a nonce twice."""
_CHUNK = 1 << 20
_MAX_MESSAGE = _CHUNK + 16
_LENGTH = struct.Struct(">I")
_DAMAGED = "the file is damaged or was cut off: take another copy of the backup"
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of a backup, readable without its key."""

    platform: str
    schema: str
    made_at: str
    database: bool = True
    format: int = FORMAT
    salt: str = ""
    key_check: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of each member before encryption."""

    @property
    def encrypted(self) -> bool:
        return bool(self.salt)


class _Cipher:
    """The messages of one archive under one key."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._aead = AESGCM(Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(key))

    def check(self) -> str:
        """Return a message that only this key makes."""
        return self._aead.encrypt(_nonce(0, 0), b"", b"key").hex()

    def seal(self, member: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for number, chunk, last in _numbered(chunks):
            message = self._aead.encrypt(_nonce(_NUMBERS[member], number), chunk, b"last" if last else b"more")
            yield _LENGTH.pack(len(message)) + message

    def open(self, member: str, stream: IO[bytes]) -> Iterator[bytes]:
        for number, message, last in _numbered(_messages(stream)):
            try:
                opened = self._aead.decrypt(_nonce(_NUMBERS[member], number), message, b"last" if last else b"more")
            except InvalidTag:
                raise _damaged() from None
            yield opened


class BackupWriter:
    """Writes an archive beside its final name, and gives it that name when it is complete. A context manager."""

    def __init__(self, path: Path, manifest: Manifest, key: bytes | None) -> None:
        self._path, self._manifest = path, manifest
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self._salt = os.urandom(16) if key else b""
        self._cipher = _Cipher(key, self._salt) if key else None
        self._sizes: dict[str, int] = {}

    def __enter__(self) -> BackupWriter:
        with _typed(self._path):
            descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            self._file = os.fdopen(descriptor, "w+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)
        return self

    def add(self, member: str, chunks: Iterable[bytes]) -> None:
        """Write a member. Raises `Exhausted` (`STORAGE_FULL`), and what `chunks` raise."""
        counted = self._count(member, chunks)
        sealed = self._cipher.seal(member, counted) if self._cipher else counted
        with _typed(self._path), self._zip.open(member, "w", force_zip64=True) as stream:
            for chunk in sealed:
                stream.write(chunk)

    def _count(self, member: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        self._sizes[member] = 0
        for chunk in chunks:
            self._sizes[member] += len(chunk)
            yield chunk

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                with _typed(self._path):
                    self._finish()
            else:
                with suppress(OSError, ValueError):  # the disk may be full
                    self._zip.close()
                with suppress(OSError):
                    self._file.close()
        finally:
            self._temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        check = self._cipher.check() if self._cipher else ""
        said = {**asdict(self._manifest), "salt": self._salt.hex(), "key_check": check, "sizes": self._sizes}
        self._zip.writestr(_MANIFEST, json.dumps(said, indent=1))
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.rename(self._path)


class BackupReader:
    """Reads an archive. A context manager.

    Raises `InvalidInput`: `BACKUP_INVALID` for what is no backup or is damaged, `BACKUP_VERSION` for the file of a
    later release, `BACKUP_KEY` without the key that it was made with.
    """

    def __init__(self, path: Path, key: bytes | None) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            text = self._zip.read(_MANIFEST)
        except OSError as error:
            raise InvalidInput(Reason.UNREADABLE, f"{path}: {error.strerror}") from None
        except (zipfile.BadZipFile, KeyError, EOFError, zlib.error):
            raise InvalidInput(
                Reason.BACKUP_INVALID, f"{path}: not a file of `rag backup`, or one that was cut off"
            ) from None
        self.manifest = _manifest_of(text)
        self._cipher = self._open_cipher(key)

    def _open_cipher(self, key: bytes | None) -> _Cipher | None:
        if not self.manifest.encrypted:
            return None
        if key is None:
            raise InvalidInput(Reason.BACKUP_KEY, "the backup is encrypted: give its key with --key-file")
        cipher = _Cipher(key, bytes.fromhex(self.manifest.salt))
        if cipher.check() != self.manifest.key_check:
            raise InvalidInput(Reason.BACKUP_KEY, "the backup was made with another key")
        return cipher

    def __enter__(self) -> BackupReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def read(self, member: str, progress: Callable[[int, int], None] = lambda done, total: None) -> Iterator[bytes]:
        """Yield a member in chunks, checked."""
        total, done = self.manifest.sizes.get(member, 0), 0
        try:
            with self._zip.open(member) as stream:
                for chunk in self._cipher.open(member, stream) if self._cipher else _chunks(stream):
                    done += len(chunk)
                    progress(done, total)
                    yield chunk
        except (zipfile.BadZipFile, KeyError, EOFError, zlib.error):
            raise _damaged() from None
        if done != total:
            raise _damaged()

    def check(self) -> None:
        """Read everything once: nothing is restored from a file of which a part is damaged."""
        for member in (DATABASE, FILES) if self.manifest.database else (FILES,):
            for _ in self.read(member):
                pass


def pack(files: Iterable[tuple[str, Path]]) -> bytes:
    """Pack small files under their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files:
            archive.writestr(name, path.read_bytes())
    return buffer.getvalue()


def unpack(packed: bytes) -> dict[str, bytes]:
    """Return the files by name. Raises `InvalidInput` (`BACKUP_INVALID`) for names that lead elsewhere."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, EOFError, zlib.error):
        raise _damaged() from None
    if any(name.startswith("/") or ".." in Path(name).parts for name in files):
        raise InvalidInput(Reason.BACKUP_INVALID, "a file in the backup leads out of its folder: do not use it")
    return files


@contextmanager
def storage_checked() -> Iterator[None]:
    """Raise `Exhausted` (`STORAGE_FULL`) for a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Exhausted(Reason.STORAGE_FULL, "the disk is full: free space and repeat the command") from None
        raise


@contextmanager
def _typed(path: Path) -> Iterator[None]:
    try:
        with storage_checked():
            yield
    except OSError as error:
        raise InvalidInput(Reason.UNREADABLE, f"{path}: {error.strerror}") from None


def _manifest_of(text: bytes) -> Manifest:
    try:
        said: dict[str, Any] = json.loads(text)
        if int(said["format"]) > FORMAT:
            raise InvalidInput(
                Reason.BACKUP_VERSION,
                f"the backup was made by a later release ({said['platform']}): restore it with that one",
            )
        bytes.fromhex(said["salt"])
        return Manifest(**{name: said[name] for name in Manifest.__slots__})
    except (ValueError, KeyError, TypeError):
        raise _damaged() from None


def _damaged() -> InvalidInput:
    return InvalidInput(Reason.BACKUP_INVALID, _DAMAGED)


def _nonce(member: int, number: int) -> bytes:
    return struct.pack(">IQ", member, number)


def _numbered(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes, bool]]:
    """Yield each chunk with its number and whether it is the last; one empty chunk where there is none."""
    iterator, number = iter(chunks), 0
    held = next(iterator, b"")
    for chunk in iterator:
        yield number, held, False
        held, number = chunk, number + 1
    yield number, held, True


def _messages(stream: IO[bytes]) -> Iterator[bytes]:
    while head := stream.read(_LENGTH.size):
        if len(head) < _LENGTH.size or (length := _LENGTH.unpack(head)[0]) > _MAX_MESSAGE:
            raise _damaged()
        yield stream.read(length)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk
