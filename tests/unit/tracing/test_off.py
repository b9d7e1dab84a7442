"""Without `OTEL_*` variables there are no traces, and nothing of OpenTelemetry's SDK is even imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rag_tracing import (
    NOTHING,
    carried,
    consume,
    current_ids,
    destination_of,
    entry,
    exemplar,
    outgoing,
    recording,
    span,
    start_tracing,
    traceparent,
)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_IMPORTS = """
import sys, rag_tracing
import query_server.server, query_server.index_process, rag_assets.stream_worker.worker
assert rag_tracing.start_tracing("test") is False
with rag_tracing.entry("a", {"traceparent": "%s"}), rag_tracing.span("b") as block:
    block.set({"c": 1})
found = [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter",
                                                          "opentelemetry.trace", "rag_tracing.recorder"))]
assert not found, found
"""


def test_nothing_is_imported_and_nothing_recorded() -> None:
    subprocess.run([sys.executable, "-c", _IMPORTS % PARENT], check=True, timeout=60)


def test_every_block_is_the_same_nothing() -> None:
    assert span("a") is NOTHING
    assert entry("a", {"traceparent": PARENT}) is NOTHING
    assert consume("a", [PARENT]) is NOTHING
    assert (outgoing(), traceparent(), current_ids(), exemplar(), recording()) == ((), None, None, None, False)
    assert carried(len) is len


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, None),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/base/"}, "http://c:4318/base/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/here"}, "http://c/here"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "zipkin"}, None),
    ],
)
def test_an_endpoint_switches_them_on(environment: dict[str, str], url: str | None) -> None:
    found = destination_of(environment)
    assert (found.url if found else None) == url


@pytest.mark.parametrize(
    ("sampler", "argument", "share"),
    [
        ("parentbased_traceidratio", "0.01", 0.01),
        ("traceidratio", "7", 1.0),
        ("traceidratio", "half", 1.0),
        ("parentbased_always_off", "", 0.0),
        ("", "0.5", 1.0),
    ],
)
def test_the_share_is_what_the_sampler_keeps(sampler: str, argument: str, share: float) -> None:
    wanted = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    found = destination_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", **wanted})
    assert found is not None
    assert found.share == share


def test_headers_are_those_of_the_specification() -> None:
    found = destination_of(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=a%20b, x=1,bad"}
    )
    assert found is not None
    assert found.headers == (("api-key", "a b"), ("x", "1"))


@pytest.mark.parametrize(
    "wrong", [{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "9999999"}]
)
def test_what_cannot_be_used_is_said_and_the_process_goes_on(
    wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", **wrong}.items():
        monkeypatch.setenv(name, value)
    assert start_tracing("test") is False
    assert "no traces" in caplog.text
    assert not recording()
