"""Print the packages that a peer needs to run our embedder, one `name==version` a line: those that running it opens.

They are observed instead of listed: a list by hand was wrong after the next import, and the peer failed at its start.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

_AT_START = frozenset(sys.modules)
_opened: set[str] = set()


def _record(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: model weights are read as data of their package, which no import shows."""
    if event == "open" and not isinstance(arguments[0], int):
        _opened.add(os.fsdecode(arguments[0]))


def _run_embedder(home: Path) -> None:
    """Do what the peers do with our code."""
    from rag_core.content.embedding import open_embedder
    from rag_core.settings import Settings

    for kind in ("fake", "onnx"):
        with closing(open_embedder(Settings.model_validate({"home": home, "embedder": kind}))) as embedder:
            embedder.embed_passages(["a passage"])
            embedder.embed_queries(["a query"])


def _packages() -> list[str]:
    """The installed packages that own a module that was loaded or a file that was opened."""
    loaded = [module for name, module in sys.modules.items() if name not in _AT_START]
    files = _opened | {getattr(module, "__file__", None) or "" for module in loaded}
    # Plugins are looked for in the metadata of all that is installed.
    used = {path for path in files if ".dist-info/" not in path}
    return sorted(
        f"{found.name}=={found.version}"
        for found in distributions()
        if any(str(found.locate_file(file)) in used for file in found.files or ())
    )


if __name__ == "__main__":
    sys.addaudithook(_record)
    _run_embedder(Path(sys.argv[1]))
    print("\n".join(_packages()))
