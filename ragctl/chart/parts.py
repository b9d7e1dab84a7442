"""Values of single components: replicas, resources and scaling."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Cpu = Annotated[str, StringConstraints(pattern=r"^([0-9]+m|[0-9]+(\.[0-9]+)?)$")]
Bytes = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti)$")]
Digest = Annotated[str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$")]
"""Or a tag, which the chart refuses in production."""
Replicas = Annotated[int, Field(ge=1, le=500)]


class PartModel(BaseModel):
    """Base of all values: unknown names are refused, names are in camel case."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Amounts(PartModel):
    """An amount of processor and memory."""

    cpu: Cpu = Field(description="Cores, or thousandths with `m`.")
    memory: Bytes = Field(description="Bytes with a unit.")


class Limits(PartModel):
    """The most a container may take. Without a processor limit it uses what is idle on its node."""

    cpu: Cpu | None = Field(None, description="Cores.")
    memory: Bytes = Field(description="Bytes with a unit.")


class Resources(PartModel):
    """Both halves are required: a pod without them is the first to be evicted and starves its neighbours."""

    requests: Amounts = Field(description="What is reserved.")
    limits: Limits = Field(description="Where it is stopped.")


def resources(cpu: str, memory: str, most: str) -> Resources:
    """Requests of `cpu` and `memory`, and `most` as the memory limit."""
    return Resources(requests=Amounts(cpu=cpu, memory=memory), limits=Limits(memory=most))


class Part(PartModel):
    """A Deployment with a fixed number of pods."""

    replicas: Replicas = Field(1, description="Pods.")
    resources: Resources = Field(description="Of one pod.")


class DagsterRuns(PartModel):
    """The Kubernetes Job of one run."""

    resources: Resources = Field(resources("1", "2Gi", "4Gi"), description="Of one run; no tag of a run changes them.")
    ttl_seconds_after_finished: int = Field(3600, ge=60, description="How long a finished Job is kept for inspection.")
    node_selector: dict[str, str] = Field({}, description="Nodes for runs.")


class CodeLocation(PartModel):
    """The code location. One pod: the webserver reloads at every answer that comes from another one."""

    resources: Resources = Field(resources("200m", "512Mi", "1Gi"), description="Of its pod.")
    erasure_claim: str = Field(
        "",
        description="PersistentVolumeClaim that keeps the erasure ledger, for `rag documents delete --erase` in"
        " this pod; empty: nothing can be erased there.",
    )


class Dagster(PartModel):
    """Code location, webserver, daemon and runs."""

    code: CodeLocation = Field(CodeLocation(), description="Code location (gRPC): one pod.")
    webserver: Part = Field(Part(resources=resources("200m", "384Mi", "1Gi")), description="UI and GraphQL.")
    daemon: Resources = Field(resources("200m", "384Mi", "1Gi"), description="Sensors, schedules, queue: one pod.")
    runs: DagsterRuns = Field(DagsterRuns(), description="One Job per run.")


class Autoscaling(PartModel):
    """HorizontalPodAutoscaler of each colour."""

    enabled: bool = Field(True, description="Scale. Without it the number is set by you, on the live Deployment.")
    min_replicas: Replicas = Field(2, description="Fewest pods.")
    max_replicas: Replicas = Field(10, description="Most pods.")
    cpu_percent: int = Field(70, ge=10, le=100, description="Processor use aimed at, of the request.")
    in_flight: int = Field(
        0,
        ge=0,
        description="Calls in flight per pod aimed at; without a metrics adapter for `rag_server_in_flight` no pod is "
        "ever removed. 0: off.",
    )


class Query(PartModel):
    """Query servers."""

    autoscaling: Autoscaling = Field(Autoscaling(), description="Pods per colour.")
    max_unavailable: int = Field(1, ge=1, description="Pods a node drain may take at once.")
    resources: Resources = Field(resources("1", "1Gi", "2Gi"), description="Of one pod.")


class KedaTopic(PartModel):
    """A Kafka topic whose lag counts."""

    topic: str = Field(min_length=1, description="Name.")
    consumer_group: str = Field(
        min_length=1, description="Group of the source: rag-TENANT-SOURCE unless it says other."
    )


class Rollout(PartModel):
    """The rollout of a new release of the query servers."""

    release: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._+-]{0,99})?$",
        description="Name of the release of the query servers, such as a tag; empty: of their image.",
    )
    deadline_seconds: int = Field(
        1800, ge=60, description="How long an upgrade waits for the release to serve. Give helm a longer `--timeout`."
    )
    resources: Resources = Field(resources("100m", "256Mi", "512Mi"), description="Of the deployer.")


class Keda(PartModel):
    """Scaling by consumer lag; needs KEDA in the cluster."""

    enabled: bool = Field(False, description="Create a ScaledObject instead of fixed replicas.")
    min_replicas: Replicas = Field(1, description="Fewest pods.")
    max_replicas: Replicas = Field(8, description="Most pods; more than partitions are idle.")
    lag_threshold: int = Field(1000, ge=1, description="Messages behind, per pod.")
    bootstrap_servers: str = Field("", description="Kafka addresses for KEDA.")
    topics: list[KedaTopic] = Field([], description="Topics of the sources, each with its consumer group.")


class Stream(PartModel):
    """Stream workers (`rag stream`)."""

    enabled: bool = Field(False, description="Run them.")
    replicas: Replicas = Field(1, description="Pods, without KEDA.")
    resources: Resources = Field(resources("500m", "1Gi", "2Gi"), description="Of one pod.")
    keda: Keda = Field(Keda(), description="Scaling by lag.")


class GatewayScaling(PartModel):
    """HorizontalPodAutoscaler of the gateway."""

    enabled: bool = Field(False, description="Scale, instead of `replicas`.")
    min_replicas: Replicas = Field(2, description="Fewest pods.")
    max_replicas: Replicas = Field(10, description="Most pods.")
    cpu_percent: int = Field(70, ge=10, le=100, description="Processor use aimed at, of the request.")


class Gateway(PartModel):
    """Envoy."""

    image: str = Field("docker.io/envoyproxy/envoy", min_length=1, description="Image without tag.")
    digest: Digest = Field(description="Digest of the image.")
    replicas: Replicas = Field(2, description="Pods.")
    max_unavailable: int = Field(1, ge=1, description="Pods a node drain may take at once.")
    autoscaling: GatewayScaling = Field(GatewayScaling(), description="Number of pods by their use.")
    service_type: Literal["ClusterIP", "LoadBalancer"] = Field("ClusterIP", description="Kind of Service.")
    service_annotations: dict[str, str] = Field({}, description="Of the Service, for example for a load balancer.")
    external_traffic_policy: Literal["Local", "Cluster"] = Field(
        "Local",
        description="For LoadBalancer. `Local` keeps the caller's address, by which callers are limited.",
    )
    resources: Resources = Field(resources("200m", "128Mi", "512Mi"), description="Of one pod.")


class Interfaces(PartModel):
    """OpenAI's API, MCP and the API description, behind the gateway; from the image of the query servers."""

    enabled: bool = Field(True, description="Run them; else their paths do not exist.")
    replicas: Replicas = Field(2, description="Pods.")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+)?$",
        description="The gateway as MCP clients know it; empty: the host that they ask for.",
    )
    authorization_servers: list[str] = Field([], description="Issuers (URLs) where MCP clients get tokens.")
    resources: Resources = Field(resources("100m", "192Mi", "512Mi"), description="Of one pod.")


class RateLimits(PartModel):
    """The service that counts clients for all gateways in Redis or Valkey; from the image of the query servers."""

    enabled: bool = Field(
        False,
        description="Run it, over RAG_REDIS_URL of secrets.existingSecret or the chart's own Valkey; else each gateway "
        "counts for itself.",
    )
    replicas: Replicas = Field(2, description="Pods.")
    resources: Resources = Field(resources("50m", "128Mi", "256Mi"), description="Of one pod.")


class ConsoleIngress(PartModel):
    """The console at a public name; with sign-in only."""

    host: str = Field("", description="Public DNS name; empty: none.")
    class_name: str = Field("", description="IngressClass.")
    annotations: dict[str, str] = Field({}, description="Further annotations.")
    tls_secret: str = Field("rag-console-tls", min_length=1, description="Secret with the certificate.")


class Console(PartModel):
    """Operations console."""

    enabled: bool = Field(True, description="Run it.")
    sign_in: Literal["none", "oidc"] = Field(
        "oidc",
        description="`oidc`: each person by your identity provider. `none`: who reaches it acts with the one token of"
        " tokenSecret; not in production.",
    )
    token_secret: str = Field(
        "rag-console", min_length=1, description="For `none`: Secret whose key `token` is an access token."
    )
    oidc_secret: str = Field(
        "rag-console-oidc", min_length=1, description="For `oidc`: Secret whose key `secrets.toml` is Streamlit's."
    )
    ingress: ConsoleIngress = Field(ConsoleIngress(), description="The way to the console from outside.")
    resources: Resources = Field(resources("100m", "256Mi", "512Mi"), description="Of its pod.")


class Pods(PartModel):
    """Settings of every pod, including the pods of runs."""

    labels: dict[str, str] = Field({}, description="Further labels, of the other objects too.")
    annotations: dict[str, str] = Field({}, description="Further annotations; not of runs.")
    node_selector: dict[str, str] = Field({}, description="Nodes.")
    tolerations: list[dict[str, Any]] = Field([], description="Taints that are tolerated.")
    affinity: dict[str, Any] = Field({}, description="Affinity.")
    priority_class_name: str = Field("", description="PriorityClass.")
    env: dict[str, str] = Field({}, description="Further environment variables of our programs, such as a proxy.")
    volumes: list[dict[str, Any]] = Field([], description="Further volumes, for example with certificates.")
    volume_mounts: list[dict[str, Any]] = Field([], description="Where they are mounted.")


class ServiceAccounts(PartModel):
    """The accounts of the pods."""

    annotations: dict[str, str] = Field({}, description="Annotations, for example for workload identity.")


class Jobs(PartModel):
    """Migration and bootstrap."""

    resources: Resources = Field(resources("200m", "1Gi", "2Gi"), description="Of each Job.")
    deadline_seconds: int = Field(900, ge=30, description="Time allowed to each.")


class Backup(PartModel):
    """A CronJob that copies source files and erasure ledger to a volume; the database has backups of its own."""

    claim: str = Field("", description="PersistentVolumeClaim for the files of `rag backup`; empty: no CronJob.")
    schedule: str = Field("17 3 * * *", min_length=1, description="Times of the CronJob.")
    keep: int = Field(30, ge=1, le=1000, description="Number of files that stay.")
    key_secret: str = Field(
        "", description="Secret whose key `backup-key` (at least 32 characters) encrypts them; empty: not encrypted."
    )
    resources: Resources = Field(resources("50m", "128Mi", "512Mi"), description="Of its pod.")


_NEEDS_DIGEST = ConfigDict(
    json_schema_extra={
        "if": {"properties": {"enabled": {"const": True}}, "required": ["enabled"]},
        "then": {"required": ["digest"], "properties": {"digest": {"type": "string"}}},
    }
)


class Evaluation(PartModel):
    """A single pod with a volume: for trying the platform, not for data you would miss."""

    model_config = _NEEDS_DIGEST

    enabled: bool = Field(False, description="Run it in the chart.")
    image: str = Field(min_length=1, description="Image without tag.")
    digest: Digest | None = Field(None, description="Digest of the image; required when enabled.")
    storage: Bytes = Field("10Gi", description="Size of the volume.")
    storage_class: str = Field("", description="StorageClass; empty: the cluster's default.")
    resources: Resources = Field(resources("250m", "512Mi", "2Gi"), description="Of the pod.")


class PostgresExporter(PartModel):
    """prometheus-postgres-exporter beside the platform; it reads statistics only."""

    model_config = _NEEDS_DIGEST

    enabled: bool = Field(False, description="Run it.")
    image: str = Field(
        "docker.io/prometheuscommunity/postgres-exporter", min_length=1, description="Image without tag."
    )
    digest: Digest | None = Field(None, description="Digest of the image; required when enabled.")
    secret: str = Field(
        "rag-postgres-exporter",
        min_length=1,
        description="Secret with DATA_SOURCE_URI (host:port/database?sslmode=…), DATA_SOURCE_USER and DATA_SOURCE_PASS"
        " of a role with pg_monitor.",
    )
    resources: Resources = Field(resources("20m", "32Mi", "128Mi"), description="Of its pod.")
