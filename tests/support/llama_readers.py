"""A Python of its own with a reader in the form of LlamaIndex's, and a place of documents that it reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.sites import Site

_READER = '''
"""As LlamaIndex's readers are: a class whose `load_data` returns documents with a text and metadata."""
import json, os, time
from dataclasses import dataclass, field
from pathlib import Path

@dataclass
class Document:
    text: str
    metadata: dict = field(default_factory=dict)

class NotesReader:
    def __init__(self, folder, token="", manner=""):
        self.folder, self.token, self.manner = Path(folder), token, manner

    def load_data(self, last=""):
        print("reading", self.folder)
        if self.manner == "refuse":
            raise ConnectionError(f"401 for {self.token}")
        if self.manner == "environment":
            return [Document(json.dumps(dict(os.environ)), {"path": "environment"})]
        found = []
        for path in sorted(self.folder.iterdir()):
            for number, text in enumerate(path.read_text("utf-8").split("\\f")):
                found.append(Document(text, {"path": path.name, "title": path.stem.title(), "page": number}))
        if self.manner == "die":
            return self.dying(found)
        if self.manner == "hang":
            time.sleep(600)
        if self.manner == "by page":
            found.sort(key=lambda one: one.metadata["page"])
        if self.manner == "nameless":
            found.append(Document("who am I", {}))
        return found

    def dying(self, found):
        yield from found
        os._exit(3)
'''


def python_with_reader(folder: Path) -> Path:
    """The Python of an environment in `folder` that has `llama_index.readers.notes:NotesReader`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages")) / "llama_index" / "readers"
    site.mkdir(parents=True)
    (site / "notes.py").write_text(_READER)
    return folder / "bin" / "python"


class Notes:
    """Notes that the reader reads."""

    def __init__(self, folder: Path, _: Site | None = None) -> None:
        self._root = folder / "notes"
        self._root.mkdir()
        self.options: dict[str, Any] = {
            "kind": "llama_index",
            "reader": "llama_index.readers.notes:NotesReader",
            "python": str(python_with_reader(folder / "readers")),
            "arguments": {"folder": str(self._root)},
            "name": "path",
        }

    def put(self, name: str, text: str) -> None:
        (self._root / name).write_text(text)

    def remove(self, name: str) -> None:
        (self._root / name).unlink()

    def lose(self) -> None:
        self._root.rename(self._root.with_name("elsewhere"))
