"""Uploaded files that wait to be attached to a source. In memory, for minutes, within bounds."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from interfaces.errors import ApiError
from interfaces.platform import Credentials
from interfaces.tenants import owner_of

PREFIX = "upload-"
_SHARE = 4
"""One tenant may have this part of the memory and of the files."""


@dataclass(slots=True)
class Upload:
    """A file. `places` are the sources it was attached to: the document's id there, and when."""

    id: str
    owner: str
    tenant: str
    name: str
    content: bytes
    purpose: str
    created: float
    places: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that it takes of the memory."""
        return len(self.content) + len(self.name.encode())


class Uploads:
    """The files of all callers. Each sees its own only; a tenant shares its part, whatever keys it has."""

    def __init__(
        self, *, seconds: float, most_bytes: int, most_files: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._seconds = seconds
        self._most_bytes, self._most_files = most_bytes, most_files
        self._clock = clock
        self._files: dict[str, Upload] = {}

    def add(self, credentials: Credentials, tenant: str, name: str, content: bytes, purpose: str) -> Upload:
        """Keep a file of a verified tenant. Raises `ApiError` (`UPLOADS_FULL`)."""
        self._forget()
        new_id = f"{PREFIX}{secrets.token_urlsafe(24)}"
        upload = Upload(new_id, owner_of(credentials), tenant, name, content, purpose, self._clock())
        own = [one for one in self._files.values() if one.tenant == tenant]
        if self._exceeded([*self._files.values(), upload], 1) or self._exceeded([*own, upload], _SHARE):
            raise ApiError(
                429,
                "UPLOADS_FULL",
                "too many uploaded files wait to be attached; attach or delete some, or wait",
                retry_after=60,
            )
        self._files[upload.id] = upload
        return upload

    def _exceeded(self, files: list[Upload], share: int) -> bool:
        size = sum(one.size for one in files)
        return size > self._most_bytes // share or len(files) > max(1, self._most_files // share)

    def get(self, credentials: Credentials, file_id: str) -> Upload:
        """A file of the caller. Raises `ApiError` (`UPLOAD_NOT_FOUND`)."""
        self._forget()
        found = self._files.get(file_id)
        if found is None or found.owner != owner_of(credentials):
            raise ApiError(
                404, "UPLOAD_NOT_FOUND", "no such uploaded file; it is kept for minutes only: upload it again"
            )
        return found

    def remove(self, credentials: Credentials, file_id: str) -> None:
        """Forget a file. Raises as `get`."""
        del self._files[self.get(credentials, file_id).id]

    def now(self) -> float:
        """The time that files are dated with."""
        return self._clock()

    def _forget(self) -> None:
        oldest = self._clock() - self._seconds
        for file_id in [one.id for one in self._files.values() if one.created < oldest]:
            del self._files[file_id]
