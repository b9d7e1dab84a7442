"""Read and validate the source files: reports all problems of all files at once. Imports no Dagster."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rag_assets.source_config import SourceConfig
from rag_assets.strict_yaml import load_yaml
from rag_core.errors import ConfigError, NotFound, Reason

__all__ = [
    "COMPONENT_TYPE",
    "PROJECT_DEFS",
    "SourceConfig",
    "find_sources",
    "load_all_sources",
    "load_sources",
    "source_attributes",
    "validate_source",
]

COMPONENT_TYPE = "rag_assets.components.DocumentSource"
PROJECT_DEFS = Path(__file__).parent / "defs"


@dataclass(slots=True)
class _Found:
    sources: list[SourceConfig] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)

    def problem(self, place: str, text: str, reason: Reason = Reason.CONFIG_INVALID) -> None:
        self.problems.append(f"{reason} at {place}: {text}")


def load_sources(directory: Path) -> list[SourceConfig]:
    """The sources of one folder (`*.yaml`, `*.yml`), by file name; a missing folder holds none.

    Raises `ConfigError` whose message lists every problem of every file, one per line:
    `CONFIG_INVALID at sources/<file>: <path>: <problem>`.
    """
    return _load(_source_files(directory))


def load_all_sources(directory: Path, *, defs: Path = PROJECT_DEFS) -> list[SourceConfig]:
    """The sources of the project's own `defs` folder and of `directory`. Raises as `load_sources`."""
    return _load([*_project_files(defs), *_source_files(directory)])


def find_sources(directory: Path, names: Iterable[str] | None = None) -> list[SourceConfig]:
    """The sources of these names, all without them. Raises as `load_sources`, and `NotFound` (`SOURCE_NOT_FOUND`)."""
    known = load_all_sources(directory)
    if names is None:
        return known
    by_name = {source.name: source for source in known}
    for name in names:
        if name not in by_name:
            raise NotFound(Reason.SOURCE_NOT_FOUND, f"no source file defines {name!r}; see `rag source list`")
    return [by_name[name] for name in names]


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


def _load(files: Iterable[tuple[Path, str]]) -> list[SourceConfig]:
    found = _Found()
    for path, place in files:
        _load_file(path, place, found)
    if found.problems:
        heading = f"{len(found.problems)} problem(s) in the source files"
        raise ConfigError(Reason.CONFIG_INVALID, "\n".join([heading, *found.problems]))
    return found.sources


def _load_file(path: Path, place: str, found: _Found) -> None:
    result = load_yaml(path)
    for text in result.problems:
        found.problem(place, text)
    if result.data is None:
        return
    attributes = source_attributes(result.data, partial(found.problem, place))
    if attributes is None:
        return
    source = validate_source(attributes, partial(found.problem, place))
    if source is None:
        return
    # By key, because `a-b` and `a_b` would be the same group and job.
    if (other := found.seen.setdefault(source.key, place)) != place:
        found.problem(place, f'attributes.name: "{source.name}" is also defined in {other}', Reason.DUPLICATE_SOURCE)
    found.sources.append(source)


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


def validate_source(attributes: dict[str, Any], report: Callable[[str], None]) -> SourceConfig | None:
    """The configuration in the attributes; `None` when it is wrong, and its problems are reported."""
    try:
        return SourceConfig.model_validate(attributes)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            report(_explain(detail))
        return None


def _explain(detail: ErrorDetails) -> str:
    path, model = _follow(detail["loc"])
    place = ".".join(["attributes", *path])
    if detail["type"] == "extra_forbidden":
        return f"{place}: {_unknown(path[-1], list(model.model_fields))}"
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}"


def _follow(location: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel]]:
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
            choices = _models(field.annotation)
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
