"""Where traces go, by the standard variables: for the gateway, which has no SDK, and whether a process starts one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

_PATH = "/v1/traces"


@dataclass(frozen=True, slots=True)
class Destination:
    """An OTLP endpoint over HTTP with the path, the headers it wants, and the share of new traces that are kept."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    share: float = 1.0


def destination_of(environment: Mapping[str, str]) -> Destination | None:
    """`None`: no traces. They need an endpoint: the SDK's default of localhost would send them to nobody."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if environment.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() != "otlp":
        return None
    own = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    common = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if not own and not common:
        return None
    given = environment.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or environment.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    return Destination(own or common.rstrip("/") + _PATH, tuple(_headers(given)), _share(environment))


def protocol_of(environment: Mapping[str, str]) -> str:
    """The protocol that is asked for; ours is `http/protobuf`."""
    own = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
    return (own or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf").strip()


def _headers(text: str) -> list[tuple[str, str]]:
    pairs = (item.partition("=") for item in text.split(","))
    return [(unquote(name.strip()).lower(), unquote(value.strip())) for name, equals, value in pairs if equals]


def _share(environment: Mapping[str, str]) -> float:
    """The share of new traces, as the SDK reads the same variables."""
    sampler = environment.get("OTEL_TRACES_SAMPLER", "parentbased_always_on").strip().lower()
    if sampler.endswith("always_off"):
        return 0.0
    if not sampler.endswith("traceidratio"):
        return 1.0
    try:
        return min(1.0, max(0.0, float(environment.get("OTEL_TRACES_SAMPLER_ARG", "1"))))
    except ValueError:
        return 1.0
