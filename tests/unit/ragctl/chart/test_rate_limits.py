"""The rate-limit service in the chart: the values of docs/how-to/share-limits.md, and the chart's own Valkey."""

from __future__ import annotations

import re

import helm_python
import pytest
import yaml

from tests.support.chart import DIGEST, ROOT, find, render, values

PAGE = (ROOT / "docs" / "how-to" / "share-limits.md").read_text("utf-8")


def test_the_values_of_the_page_run_the_service_and_the_gateway_asks_it() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    manifests = render(values("production", yaml.safe_load(block)))
    service = find(manifests, "Deployment", "-rate-limits")["spec"]["template"]["spec"]["containers"][0]
    assert service["command"][-1] == "rate-limits"
    named = {one["name"]: one for one in service["env"]}
    assert named["RAG_REDIS_URL"]["valueFrom"]["secretKeyRef"]["key"] == "RAG_REDIS_URL"
    assert named["RAG_GATEWAY_CLIENT_PER_MINUTE"]["value"] == "100"
    pod = find(manifests, "Deployment", "-gateway")["spec"]["template"]["spec"]
    given = {one["name"]: one["value"] for one in pod["initContainers"][0]["env"]}
    assert given["RAG_GATEWAY_RATE_LIMITS"] == "rag-rag-platform-rate-limits:50053"
    assert given["RAG_GATEWAY_RATE_LIMITS_FAIL"] == "open"


def test_without_it_there_is_no_such_object_and_each_gateway_counts_for_itself() -> None:
    manifests = render(values("production"))
    named = {one["kind"] for one in manifests if one["metadata"]["name"].endswith("-rate-limits")}
    assert named <= {"NetworkPolicy"}
    pod = find(manifests, "Deployment", "-gateway")["spec"]["template"]["spec"]
    assert "RAG_GATEWAY_RATE_LIMITS" not in {one["name"] for one in pod["initContainers"][0]["env"]}


def test_the_charts_own_valkey_is_named_to_all_who_count() -> None:
    valkey = {"enabled": True, "digest": DIGEST}
    manifests = render(values("production", {"rateLimits": {"enabled": True}, "valkey": valkey}))
    assert (
        find(manifests, "ConfigMap", "-settings")["data"]["RAG_REDIS_URL"] == "redis://rag-rag-platform-valkey:6379/0"
    )
    assert find(manifests, "StatefulSet", "-valkey")


def test_where_redis_is_must_be_said_to_the_network_policies() -> None:
    with pytest.raises(helm_python.HelmError, match=r"networkPolicy\.redis\.cidrs"):
        render(values("production", {"rateLimits": {"enabled": True}}))
