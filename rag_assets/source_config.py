"""The configuration of a source, as its YAML file states it. Imports no Dagster."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from rag_assets.connectors.fields import AclEntry, MetadataName, Model
from rag_assets.connectors.kinds import Options
from rag_core.content.quality import RULES, QualityPolicy, Severity
from rag_core.content.sources import Recency, Source
from rag_core.governance.access import without_refused
from rag_core.ids import fingerprint

# --------------------------------------------------------------------------------------------------------------------
# Checks a cron expression without importing Dagster, so that `rag source check` stays light.


_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_MACROS = frozenset({"@hourly", "@daily", "@weekly", "@monthly", "@yearly"})
_PART = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d{1,3}))?")


def cron_problem(expression: str) -> str | None:
    """The problem of a cron expression, `None` when Dagster accepts it."""
    if expression in _MACROS:
        return None
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        return f"a cron expression has 5 fields, this has {len(parts)}"
    for text, (name, low, high, names) in zip(parts, _FIELDS, strict=True):
        if not all(_part_ok(part, low, high, names) for part in text.split(",")):
            return f'the {name} field "{text}" is not within {low}-{high}'
    return None


def _part_ok(part: str, low: int, high: int, names: dict[str, int]) -> bool:
    match = _PART.fullmatch(part.lower())
    if match is None or match["step"] == "0":
        return False
    if match["first"] == "*":
        return match["last"] is None
    ends = [names.get(word, int(word) if word.isdigit() else -1) for word in (match["first"], match["last"]) if word]
    return all(low <= end <= high for end in ends) and ends == sorted(ends)


def _cron(value: str) -> str:
    if problem := cron_problem(value):
        raise ValueError(problem)
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        raise ValueError("not a time zone; use a name such as Europe/Berlin or UTC") from None
    return value


def _rule(value: str) -> str:
    if value not in RULES:
        close = difflib.get_close_matches(value, RULES, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"known are {', '.join(RULES)}"
        raise ValueError(f"no such rule; {hint}")
    return value


def _owner(value: str) -> str:
    if not _OWNER.fullmatch(value):
        raise ValueError("an owner is an email address or `team:NAME`")
    return value


def _own_name(value: str) -> str:
    if value == "source":
        raise ValueError("reserved: the sensor of all sources is named `source_changes`; choose another name")
    return value


_OWNER = re.compile(
    r"team:[A-Za-z0-9_][A-Za-z0-9_-]{0,62}|[A-Za-z0-9._%+-]{1,64}@([A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}"
)
SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$"), AfterValidator(_own_name)]
Tenant = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
RuleName = Annotated[str, AfterValidator(_rule)]


class ScheduleConfig(Model):
    """Schedule of the full reconcile, which runs whatever the sensor saw."""

    cron: Annotated[str, AfterValidator(_cron)] = Field("0 3 * * *", description="Five fields, or @daily and the like.")
    timezone: Annotated[str, AfterValidator(_timezone)] = Field("UTC", description="IANA name.")


class SensorConfig(Model):
    """Interval of the checks for changes."""

    interval_seconds: int = Field(
        30,
        ge=5,
        le=86_400,
        description="Seconds between two polls; left out: 300 for a local folder at rest.",
    )


class FreshnessConfig(Model):
    """A preference for newer documents in searches and answers, by the date that they or their source name."""

    half_life_days: float = Field(
        gt=0, le=36_500, strict=False, description="Age at which half the preference is left."
    )
    weight: float = Field(ge=0, le=1, strict=False, description="Share of the score that age decides.")


class QualityConfig(Model):
    """This source's settings of the rules in docs/reference/quality-rules.md."""

    severity: dict[RuleName, Severity] = Field({}, description="By rule: `ignore`, `warn` or `error`.")
    limit: dict[RuleName, Annotated[float, Field(ge=0, strict=False)]] = Field(
        {}, description="By rule: the value above which it fires."
    )
    max_failed_share: float = Field(
        0.2, ge=0, le=1, strict=False, description="A run fails when more of the inputs it read went to quarantine …"
    )
    max_failed_minimum: int = Field(20, ge=1, description="… and at least so many.")

    @property
    def policy(self) -> QualityPolicy:
        """The policy as the pipeline takes it."""
        return QualityPolicy(self.severity, self.limit, self.max_failed_share, self.max_failed_minimum)


class SourceConfig(Model):
    """The `attributes` of one source file."""

    name: SourceName = Field(
        description="Name of the source, first part of its asset keys, and the `source` field of answers."
    )
    tenant: Tenant = Field(description="Tenant that owns every document of this source.")
    acl: list[AclEntry] | None = Field(
        None, min_length=1, max_length=256, description="Who may see the documents; left out: nobody until it is known."
    )
    owners: list[Annotated[str, AfterValidator(_owner)]] = Field(
        [], max_length=16, description="Who looks after it, shown in Dagster: email addresses, or `team:NAME`."
    )
    shards: int = Field(1, ge=1, le=1024, description="Static partitions by hash of the document id.")
    weight: float = Field(
        1, ge=0.1, le=10, strict=False, description="Share of embedding when several sources wait for it."
    )
    enabled: bool = Field(True, description="Whether sensor and schedule start running.")
    schedule: ScheduleConfig | None = Field(ScheduleConfig(), description="Full reconcile; null for none.")
    sensor: SensorConfig | None = Field(SensorConfig(), description="Change sensor; null for none.")
    freshness_minutes: int | None = Field(1500, ge=1, le=525_600, description="Age at which it is stale; null: never.")
    metadata: dict[MetadataName, Annotated[str, StringConstraints(max_length=1024)]] = Field(
        {}, max_length=32, description="Copied to every document."
    )
    egress: list[Literal["answer", "rerank", "embed"]] | None = Field(
        None,
        max_length=3,
        description="Model endpoints that its text may go to, of those its tenant allows: `answer`, `rerank`, `embed`; "
        "`[]`: none. Left out: as its tenant.",
    )
    freshness: FreshnessConfig | None = Field(
        None, description="Preference for newer documents, where a request names none; null: age does not count."
    )
    restricted: bool = Field(
        False,
        description="Whether the allow-lists of its tenant (RAG_SOURCE_ALLOWANCES) apply in every run. Set in the "
        "files of sources that an administrator of the tenant adds.",
    )
    quality: QualityConfig = Field(QualityConfig(), description="Severity and limits of the quality rules.")
    options: Options = Field(description="What to read, by kind.")

    @model_validator(mode="after")
    def _shards_divide_the_work(self) -> Self:
        if self.shards != 1 and (why := self.options.why_undivided()):
            raise ValueError(f"shards: {why}; leave shards at 1")
        return self

    @property
    def source(self) -> Source:
        """The source as the pipeline takes it."""
        acl = without_refused(self.acl) if self.acl is not None else None
        metadata, policy = dict(self.metadata), self.quality.policy
        egress = None if self.egress is None else tuple(sorted(set(self.egress)))
        options = fingerprint(self.options.model_dump_json())
        freshness = None if self.freshness is None else Recency(self.freshness.half_life_days, self.freshness.weight)
        return Source(
            self.name, self.tenant, self.options.kind, acl, self.shards, metadata, policy, options, self.weight, egress,
            freshness,
        )  # fmt: skip

    @property
    def has_runs(self) -> bool:
        """True when runs bring it up to date; a topic with `consume: stream` is the stream worker's alone."""
        return self.options.has_runs

    @property
    def is_observable(self) -> bool:
        """True when stream workers may bring in its changes: it is listed, has one shard and a change sensor."""
        return not self.options.is_stream and self.shards == 1 and self.sensor is not None

    @property
    def key(self) -> str:
        """The name as Dagster can use it for jobs and asset keys, which have no hyphen."""
        return self.name.replace("-", "_")

    @property
    def group(self) -> str:
        """The asset group of the source. The prefix keeps it apart from the platform's own."""
        return f"source_{self.key}"
