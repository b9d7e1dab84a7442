"""Read and validate the source files. Imports no Dagster.

`read_sources` gives what is usable, and what is wrong with each other file: one wrong file never stops the rest.
`load_sources` and `load_all_sources` refuse all of them when one is wrong.
"""

from __future__ import annotations

import difflib
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rag_assets.connectors.kind import SourceOptions
from rag_assets.connectors.kinds import find_kind
from rag_assets.source_config import SourceConfig
from rag_assets.strict_yaml import load_yaml
from rag_core.content.sources import SourceProblem
from rag_core.errors import ConfigError, NotFound, RagError, Reason
from rag_core.ids import fingerprint

COMPONENT_TYPE = "rag_assets.components.DocumentSource"
PROJECT_DEFS = Path(__file__).parent / "defs"
_SETTLED_SECONDS = 2.0
_digests: dict[Path, tuple[tuple[int, int, int] | None, str]] = {}
"""Hash of each source file, and the state in which it had it: the files are compared every few seconds."""


@dataclass(slots=True)
class SourceFiles:
    """The usable sources by file name, and the problems of the other files
    (`rag_core.content.sources.SourceProblem`)."""

    sources: list[SourceConfig] = field(default_factory=list)
    problems: list[SourceProblem] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)

    def is_in_project(self, config: SourceConfig) -> bool:
        """Return whether the project's own folder defines a source, so that Dagster loads it by itself."""
        return self.seen[config.key].startswith("defs/")

    def require_usable(self) -> list[SourceConfig]:
        """The sources. Raises `ConfigError` (`CONFIG_INVALID`) that lists every problem of every file."""
        if self.problems:
            heading = f"{len(self.problems)} problem(s) in the source files"
            raise ConfigError(Reason.CONFIG_INVALID, "\n".join([heading, *map(str, self.problems)]))
        return self.sources


class _File:
    """One file that is being read; what is wrong with it is added to `found`."""

    def __init__(self, path: Path, place: str, found: SourceFiles) -> None:
        self.path, self.place, self._found = path, place, found
        # Until the file says more, people know the source by the name of its file.
        self.name, self.tenant = path.stem if path.name != "defs.yaml" else path.parent.name, ""

    def problem(self, text: str, reason: Reason = Reason.CONFIG_INVALID) -> None:
        self._found.problems.append(SourceProblem(self.place, self.name, self.tenant, reason, text))


def read_sources(directory: Path, *, defs: Path | None = PROJECT_DEFS) -> SourceFiles:
    """The sources of the project's own `defs` folder and of `directory` (`*.yaml`, `*.yml`); missing ones hold none."""
    found = SourceFiles()
    for path, place in [*(_project_files(defs) if defs is not None else ()), *_source_files(directory)]:
        _load_file(_File(path, place, found), found)
    return found


def load_sources(directory: Path) -> list[SourceConfig]:
    """The sources of one folder. Raises `ConfigError` when a file is wrong, see `SourceFiles.require_usable`."""
    return read_sources(directory, defs=None).require_usable()


def load_all_sources(directory: Path, *, defs: Path = PROJECT_DEFS) -> list[SourceConfig]:
    """The sources of the project's own `defs` folder and of `directory`. Raises as `load_sources`."""
    return read_sources(directory, defs=defs).require_usable()


def find_sources(directory: Path, names: Iterable[str] | None = None) -> list[SourceConfig]:
    """The sources of these names; without them all whose files are right.

    Raises `ConfigError` (`CONFIG_INVALID`) with what is wrong with the file of a name, and `NotFound`
    (`SOURCE_NOT_FOUND`).
    """
    found = read_sources(directory)
    if names is None:
        return found.sources
    by_name = {source.name: source for source in found.sources}
    for name in names:
        if name not in by_name:
            wrong = [problem for problem in found.problems if problem.source == name]
            SourceFiles(problems=wrong).require_usable()
            raise NotFound(Reason.SOURCE_NOT_FOUND, f"no source file defines {name!r}; see `rag source list`")
    return [by_name[name] for name in names]


def files_fingerprint(directory: Path) -> str:
    """Changes when a source file of the folder is added, changed or removed."""
    return fingerprint(*((place, _digest(path)) for path, place in _source_files(directory)))


def _digest(path: Path) -> str:
    try:
        state = path.stat()
        stamp = (state.st_ino, state.st_size, state.st_mtime_ns)
        known, digest = _digests.get(path, (None, ""))
        if stamp != known:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            # A file that was written a moment ago may be written again without another time or size.
            _digests[path] = stamp if time.time() - state.st_mtime > _SETTLED_SECONDS else None, digest
    except OSError:
        return ""
    return digest


def _source_files(directory: Path) -> list[tuple[Path, str]]:
    if not directory.is_dir():
        return []
    files = sorted(path for path in directory.iterdir() if path.suffix in (".yaml", ".yml") and path.name[0] != ".")
    return [(path, f"sources/{path.name}") for path in files]


def _project_files(defs: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(defs.rglob("defs.yaml")):
        data = load_yaml(path)
        # The folder may hold components of other types; they are Dagster's to check.
        if data.problems or (isinstance(data.data, dict) and data.data.get("type") == COMPONENT_TYPE):
            yield path, f"defs/{path.relative_to(defs).as_posix()}"


def _load_file(file: _File, found: SourceFiles) -> None:
    result = load_yaml(file.path)
    _identify(file, result.data)
    for text in result.problems:
        file.problem(text)
    if result.data is None:
        return
    wrong = len(found.problems)
    attributes = source_attributes(result.data, file.problem)
    source = validate_source(attributes, file.problem) if attributes is not None else None
    if source is None:
        return
    # By key, because `a-b` and `a_b` would be the same group and job.
    if (other := found.seen.setdefault(source.key, file.place)) != file.place:
        file.problem(f'attributes.name: "{source.name}" is also defined in {other}', Reason.DUPLICATE_SOURCE)
    if len(found.problems) == wrong and not result.problems:
        found.sources.append(source)


def _identify(file: _File, data: Any) -> None:
    """Note whose source a file is, right or wrong."""
    attributes = data.get("attributes") if isinstance(data, dict) else None
    if isinstance(attributes, dict):
        name, tenant = attributes.get("name"), attributes.get("tenant")
        file.name = name if isinstance(name, str) and name.isprintable() and name else file.name
        file.tenant = tenant if isinstance(tenant, str) and tenant.isprintable() else ""


def source_attributes(data: Any, report: Callable[[str], None]) -> dict[str, Any] | None:
    """The `attributes` of a source file; its problems are reported."""
    if not isinstance(data, dict):
        report("the file must hold `type:` and `attributes:`")
        return None
    for key in data.keys() - {"type", "attributes"}:
        report(f"{key}: {_unknown(str(key), ['type', 'attributes'])}")
    if data.get("type") != COMPONENT_TYPE:
        report(f"type: must be {COMPONENT_TYPE}")
    attributes = data.get("attributes")
    if not isinstance(attributes, dict):
        report("attributes: must be a mapping")
        return None
    return attributes


def validate_source(
    attributes: dict[str, Any], report: Callable[[str], None], *, context: dict[str, Any] | None = None
) -> SourceConfig | None:
    """The configuration in the attributes; `None` when it is wrong, and its problems are reported. With the context
    `BROWSING` its options may be incomplete."""
    try:
        return SourceConfig.model_validate(attributes, context=context)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            report(_explain(detail, _options_model(attributes)))
        return None


def _options_model(attributes: dict[str, Any]) -> type[BaseModel]:
    """The model of the options, by the kind that the file names."""
    options = attributes.get("options")
    name = options.get("kind") if isinstance(options, dict) else None
    try:
        return find_kind(name).options if isinstance(name, str) else SourceOptions
    except RagError:
        return SourceOptions


def _explain(detail: ErrorDetails, options: type[BaseModel]) -> str:
    path, model = _follow(detail["loc"], options)
    place = ".".join(["attributes", *path])
    if detail["type"] == "extra_forbidden":
        return f"{place}: {_unknown(path[-1], list(model.model_fields))}"
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}"


def _follow(location: tuple[int | str, ...], options: type[BaseModel]) -> tuple[list[str], type[BaseModel]]:
    """The path of an error within the file, and the model around it.

    Where several models are possible the location names the chosen one by its tag, a level that the file does not have.
    """
    path: list[str] = []
    model: type[BaseModel] = SourceConfig
    choices: dict[str, type[BaseModel]] = {}
    for part in map(str, location):
        if part in choices:
            model, choices = choices[part], {}
            continue
        path.append(part)
        field = model.model_fields.get(part)
        choices = {}
        if field is not None:
            choices = {} if field.annotation is SourceOptions else _models(field.annotation)
            model = options if field.annotation is SourceOptions else model
            if len(set(choices.values())) == 1:
                model, choices = next(iter(choices.values())), {}
    return path, model


def _models(annotation: Any) -> dict[str, type[BaseModel]]:
    """The models an annotation allows, by the tag that chooses each."""
    found: dict[str, type[BaseModel]] = {}
    for one in get_args(annotation) or (annotation,):
        if isinstance(one, type) and issubclass(one, BaseModel):
            found |= dict.fromkeys(_tags(one), one)
    return found


def _tags(model: type[BaseModel]) -> list[str]:
    tag = next((field for name in ("kind", "driver") if (field := model.model_fields.get(name))), None)
    return [str(value) for value in get_args(tag.annotation)] if tag is not None else [model.__name__]


def _unknown(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f'unknown key; did you mean "{close[0]}"?' if close else f"unknown key; known are {', '.join(known)}"
