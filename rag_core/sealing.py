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
    """The key in a file of mode 0600. While it is rotated the older keys follow it: the first seals, each opens."""

    def __init__(self, path: Path) -> None:
        """Read the key. Raises `OSError` when there is none, and `ValueError` when the file holds something else."""
        content = path.read_bytes()
        if not content or len(content) % _KEY_BYTES:
            raise ValueError("not a file of keys")
        self._keys = [AESGCM(content[at : at + _KEY_BYTES]) for at in range(0, len(content), _KEY_BYTES)]

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

    @classmethod
    def rotated(cls, path: Path) -> SealingKey:
        """Seal by a new key from now on; the ones before still open. Raises as the constructor."""
        cls(path)
        replace_file(path, os.urandom(_KEY_BYTES) + path.read_bytes(), mode=0o600)
        return cls(path)

    @staticmethod
    def retire(path: Path) -> None:
        """Drop all keys but the one that seals, once everything is resealed."""
        replace_file(path, path.read_bytes()[:_KEY_BYTES], mode=0o600)

    def seal(self, secret: bytes, about: str) -> bytes:
        """Encrypt what belongs to a name."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._keys[0].encrypt(nonce, secret, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """Decrypt. Raises `ValueError` for what another key, or for another name, sealed."""
        for key in self._keys:
            with suppress(InvalidTag):
                return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode())
        raise ValueError(f"sealed by another key, or for another name than {about}")

    def reseal(self, sealed: bytes, about: str) -> bytes | None:
        """Seal by the newest key what one of them sealed; `None` for what none of them did."""
        try:
            return self.seal(self.open(sealed, about), about)
        except ValueError:
            return None
