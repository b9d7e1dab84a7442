"""Entry of a sandbox process: `python -m rag_core.content.parsing.sandbox.worker MEMORY_MB`. Works until its input
ends."""

from __future__ import annotations

import mimetypes
import os
import sys
import sysconfig
from pathlib import Path
from typing import BinaryIO

import rag_core
from rag_core.content.parsing.detect import Kind
from rag_core.content.parsing.parse import parse
from rag_core.content.parsing.sandbox import confine, frames
from rag_core.errors import InvalidInput, Reason


def main() -> int:
    """Confine this process, then answer requests on standard input until it ends."""
    memory_mb = int(sys.argv[1])
    requests, responses = _take_streams()
    confine.limit_resources(memory_mb)
    confine.drop_access(_readable())
    responses.write(frames.encode_ready())
    responses.flush()
    while (prefix := requests.read(frames.PREFIX.size)) and len(prefix) == frames.PREFIX.size:
        header_size, payload_size = frames.PREFIX.unpack(prefix)
        request = frames.decode_request(requests.read(header_size), requests.read(payload_size))
        confine.limit_time(request.seconds)
        response = _answer(request)
        del request
        confine.no_time_limit()
        responses.write(response)
        responses.flush()
    return 0


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes for ourselves: what a library prints must not become part of the protocol."""
    responses = os.fdopen(os.dup(1), "wb")
    requests = os.fdopen(os.dup(0), "rb")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    return requests, responses


def _readable() -> list[Path]:
    """Code and its data: the interpreter, the installed packages, this project, shared libraries and time zones."""
    project = Path(rag_core.__file__).parent
    prefixes = {
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
    }
    system = [
        "/usr/lib",
        "/usr/lib64",
        "/lib",
        "/lib64",
        "/usr/local/lib",
        "/usr/share/zoneinfo",
        "/etc/ld.so.cache",
        "/dev/null",
    ]
    return [project, *(Path(path) for path in (*filter(None, prefixes), *system, *mimetypes.knownfiles))]


def _answer(request: frames.Request) -> bytes:
    try:
        if request.quote is not None:
            from rag_core.content.parsing.pages.image import page_image

            kind = Kind(request.kind)
            return frames.encode_image(page_image(request.content, kind, request.page, request.quote, request.limits))
        if request.page:
            # Imported here: a sandbox that only parses needs neither its libraries nor their memory.
            from rag_core.content.parsing.ocr.engine import read_page

            kind = Kind(request.kind)
            page = read_page(request.content, kind, request.page, request.limits, language=request.language)
            return frames.encode_document(page)
        document = parse(request.content, name=request.name, media_type=request.media_type, limits=request.limits)
        return frames.encode_document(document)
    except InvalidInput as refused:
        return frames.encode_refusal(refused.reason, refused.message)
    except (MemoryError, ImportError):
        return frames.encode_refusal(Reason.PARSER_OOM, "the document needs more memory than a parser is given")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MemoryError:
        # Not even the refusal fitted into memory.
        os._exit(frames.EXIT_OUT_OF_MEMORY)
