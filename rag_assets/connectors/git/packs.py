"""Check a Git pack before it is unpacked: refuse objects that inflate beyond the limits, in bounded memory.

dulwich inflates each object as a whole. A pack of a few megabytes can hold objects of terabytes, so that their sizes
are measured first. The format is in Git's documentation, `gitformat-pack`.
"""

from __future__ import annotations

import zlib
from typing import IO, Final

from rag_core.errors import InvalidInput, Reason, Unavailable

_STEP: Final = 65_536
_OFFSET_DELTA, _REFERENCE_DELTA = 6, 7
_REFERENCE_BYTES: Final = 20


def check_pack(pack: IO[bytes], *, most_objects: int, most_bytes: int, most_object_bytes: int) -> None:
    """Read a pack from its beginning. Raises `InvalidInput` (`RESPONSE_TOO_LARGE`) for one that is too much, and
    `Unavailable` (`RESPONSE_INVALID`) for one that is none."""
    header = pack.read(12)
    if len(header) < 12 or header[:4] != b"PACK" or int.from_bytes(header[4:8]) not in (2, 3):
        raise _broken()
    count = int.from_bytes(header[8:])
    if count > most_objects:
        raise InvalidInput(
            Reason.RESPONSE_TOO_LARGE, f"the repository has {count} > {most_objects} objects at this ref"
        )
    total, reader = 0, _Reader(pack)
    for _ in range(count):
        kind, size = reader.header()
        if kind == _OFFSET_DELTA:
            reader.number()
        elif kind == _REFERENCE_DELTA:
            reader.take(_REFERENCE_BYTES)
        result = reader.inflate(size, most_object_bytes, delta=kind in (_OFFSET_DELTA, _REFERENCE_DELTA))
        total += result
        if max(size, result) > most_object_bytes:
            message = f"the repository has an object of {max(size, result)} > {most_object_bytes} bytes"
            raise InvalidInput(Reason.RESPONSE_TOO_LARGE, message)
        if total > most_bytes:
            raise InvalidInput(
                Reason.RESPONSE_TOO_LARGE, f"the files of the repository are larger than {most_bytes} bytes"
            )


class _Reader:
    def __init__(self, pack: IO[bytes]) -> None:
        self._pack, self._rest = pack, b""

    def take(self, count: int) -> bytes:
        while len(self._rest) < count:
            more = self._pack.read(_STEP)
            if not more:
                raise _broken()
            self._rest += more
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def header(self) -> tuple[int, int]:
        """Kind and inflated size of the next object."""
        byte = self.take(1)[0]
        kind, size, shift = byte >> 4 & 7, byte & 15, 4
        while byte & 128:
            byte = self.take(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if shift > 70:
                raise _broken()
        return kind, size

    def number(self) -> None:
        """Skip a number in groups of seven bits."""
        for _ in range(11):
            if not self.take(1)[0] & 128:
                return
        raise _broken()

    def inflate(self, size: int, most: int, *, delta: bool) -> int:
        """Inflate one object and drop it; returns the size that it has, for a delta once it is applied."""
        stream, done, first = zlib.decompressobj(), 0, b""
        while not stream.eof:
            data = self._rest or self._pack.read(_STEP)
            if not data:
                raise _broken()
            try:
                part = stream.decompress(data, _STEP)
            except zlib.error:
                raise _broken() from None
            self._rest = stream.unused_data if stream.eof else stream.unconsumed_tail
            done += len(part)
            if len(first) < 32:
                first += part[:32]
            if done > min(size, most):
                break
        if done > size or (stream.eof and done != size):
            raise _broken()
        return _result_size(first) if delta else done


def _result_size(delta: bytes) -> int:
    """The second of the two numbers with which a delta begins."""
    position = 0
    for wanted in (False, True):
        number, shift = 0, 0
        while True:
            if position >= len(delta) or shift > 70:
                raise _broken()
            byte = delta[position]
            number |= (byte & 127) << shift
            position, shift = position + 1, shift + 7
            if not byte & 128:
                break
        if wanted:
            return number
    raise _broken()


def _broken() -> Unavailable:
    return Unavailable(Reason.RESPONSE_INVALID, "the host's answer is no Git pack, or breaks off")
