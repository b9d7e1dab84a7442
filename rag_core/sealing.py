"""Seal small secrets by a key in a file (AES-256-GCM), so that a row, a dump or a copy of one file opens nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rag_core.files import replace_file

_KEY_BYTES = 32
_NONCE_BYTES = 12


class SealingKey:
    """The key in a file of mode 0600."""

    def __init__(self, path: Path) -> None:
        """Read the key. Raises `OSError` when there is none, and `ValueError` when the file holds something else."""
        self._aead = AESGCM(path.read_bytes())

    @classmethod
    def made(cls, path: Path) -> SealingKey:
        """The key of a file, made when there is none. Of several processes that make it one wins."""
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = path.with_name(f".{path.name}.{os.getpid()}")
            replace_file(made, os.urandom(_KEY_BYTES), mode=0o600)
            with suppress(FileExistsError):  # another process was faster
                os.link(made, path)
            made.unlink()
        return cls(path)

    def seal(self, secret: bytes, about: str) -> bytes:
        """Encrypt what belongs to a name."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, secret, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """Decrypt. Raises `ValueError` for what another key, or for another name, sealed."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode())
        except InvalidTag:
            raise ValueError(f"sealed by another key, or for another name than {about}") from None
