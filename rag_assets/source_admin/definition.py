"""The text of a source file: from YAML to a checked configuration, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from croniter import croniter

from rag_assets.config import COMPONENT_TYPE, source_attributes, validate_source
from rag_assets.connectors.kinds import BROWSING
from rag_assets.source_config import ScheduleConfig, SourceConfig
from rag_assets.strict_yaml import parse_yaml
from rag_core.errors import ConfigError, Reason

MAX_DEFINITION_CHARS = 65_536


def parse_definition(text: str, place: str = "source", *, browsing: bool = False) -> SourceConfig:
    """The configuration in the text of a source file; `browsing`: with options that may be incomplete.

    Raises `ConfigError` (`CONFIG_INVALID`) with all problems.
    """
    if len(text) > MAX_DEFINITION_CHARS:
        raise ConfigError(Reason.CONFIG_INVALID, f"longer than {MAX_DEFINITION_CHARS} characters")
    parsed = parse_yaml(text)
    problems = list(parsed.problems)
    config: SourceConfig | None = None
    if not problems:
        attributes = source_attributes(parsed.data, problems.append)
        if attributes is not None and not problems:
            config = validate_source(attributes, problems.append, context=BROWSING if browsing else None)
    if config is None or problems:
        raise ConfigError(Reason.CONFIG_INVALID, "\n".join(problems) or f"{place}: holds no source")
    return config


def restrict_definition(text: str) -> str:
    """The text of a valid source file with `restricted: true`: the allow-lists of its tenant apply in every run.

    Everything else stays as it was written. Raises `ConfigError` (`CONFIG_INVALID`).
    """
    config = parse_definition(text)
    if config.restricted:
        return text
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    attributes = next(value for key, value in root.value if key.value == "attributes")
    for key, value in attributes.value:
        if key.value == "restricted":
            made = f"{text[: value.start_mark.index]}true{text[value.end_mark.index :]}"
            break
    else:
        first = attributes.value[0][0].start_mark
        separator = ", " if attributes.flow_style else "\n" + " " * first.column
        made = f"{text[: first.index]}restricted: true{separator}{text[first.index :]}"
    if parse_definition(made) != config.model_copy(update={"restricted": True}):
        message = "the allow-lists cannot be written into this file; add `restricted: true` to its attributes"
        raise ConfigError(Reason.CONFIG_INVALID, message)
    return made


def render_definition(attributes: Mapping[str, Any]) -> str:
    """The text of a source file with these attributes."""
    document = {"type": COMPONENT_TYPE, "attributes": dict(attributes)}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def next_times(schedule: ScheduleConfig, count: int = 3) -> list[datetime]:
    """The next times, in the time zone of the schedule."""
    times = croniter(schedule.cron, datetime.now(ZoneInfo(schedule.timezone)))
    return [times.get_next(datetime) for _ in range(count)]
