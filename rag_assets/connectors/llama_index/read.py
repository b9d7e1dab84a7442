"""Runs in the Python that has the reader, as a script: one line of JSON for each document.

The call comes on standard input, because arguments of a process are seen by others. Needs nothing of the platform.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


def main() -> None:
    """Read, and write the documents; the last line says that nothing is missing, or what went wrong."""
    # What a reader prints must not come between the lines.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogatepass")
    os.dup2(2, 1)
    call: dict[str, Any] = json.load(sys.stdin)
    try:
        module, _, name = call["reader"].partition(":")
        reader = getattr(importlib.import_module(module), name)(**call["arguments"])
        for document in reader.load_data(**call["load"]):
            said = {"text": document.text, "metadata": dict(document.metadata or {})}
            out.write(json.dumps(said, default=str) + "\n")
        last: dict[str, Any] = {"complete": True}
    except BaseException as error:
        last = {"error": f"{type(error).__name__}: {error}"}
    out.write(json.dumps(last, default=str) + "\n")
    out.close()


if __name__ == "__main__":
    main()
