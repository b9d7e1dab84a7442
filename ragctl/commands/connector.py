"""`rag connector`: begin a package with a kind of source of your own."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Annotated

from cyclopts import App, Parameter

from rag_core.errors import InvalidInput, Reason
from ragctl.output import Json, emit_json, say

app = App(name="connector", help="Connectors of your own: new.", help_format="plaintext")
_TEMPLATE = Path(__file__).parent.parent / "connector_template"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MAX_NAME_CHARS = 40


@app.command
def new(name: str, /, *, into: Annotated[Path | None, Parameter(negative="")] = None, json: Json = False) -> None:
    """Write a package with a connector that works: options, listing, readers, its registration, and its tests.

    It reads a service with a JSON API; change it for yours, test by test (docs/how-to/write-a-connector.md).

    Example: rag connector new wiki

    Parameters
    ----------
    name
        Name of the kind in source files: lower-case letters, digits and underscores.
    into
        Folder to make; it must not exist, or be empty. Default: rag-connector-NAME here.
    """
    folder = into or Path(f"rag-connector-{name.replace('_', '-')}")
    _require_usable(name, folder)
    written = write_package(name, folder)
    if json:
        emit_json({"folder": str(folder), "files": written})
        return
    for file in written:
        say(f"  {folder / file}")
    say(f"\nNext: cd {folder} && pip install -e . && pytest")


def write_package(name: str, folder: Path) -> list[str]:
    """Write the package of a kind; return its files."""
    words = "".join(word.title() for word in name.split("_"))
    values = {"name": name, "package": f"rag-connector-{name.replace('_', '-')}", "module": f"rag_connector_{name}",
              "Class": words, "title": name.replace("_", " ").capitalize(), "NAME": name.upper()}  # fmt: skip
    written = []
    for source in sorted(path for path in _TEMPLATE.rglob("*.tmpl")):
        place = source.relative_to(_TEMPLATE).with_suffix("").as_posix()
        place = place.replace("package/", f"src/{values['module']}/").replace("test_package", f"test_{name}")
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(source.read_text("utf-8")).substitute(values), "utf-8")
        written.append(place)
    return written


def _require_usable(name: str, folder: Path) -> None:
    from rag_assets.connectors.kinds import installed_kinds

    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME_CHARS:
        said = f"the name of a kind is lower-case letters, digits and underscores, at most {_MAX_NAME_CHARS}"
        raise InvalidInput(Reason.USAGE, f"{said}; not {name[:60]!r}")
    taken = next((one.package for one in installed_kinds() if one.name == name), None)
    if taken:
        raise InvalidInput(Reason.USAGE, f"the kind {name} is there already, from the package {taken}; take another")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(Reason.USAGE, f"{folder} exists and is no empty folder; name another with --into")
