"""How a new set of query servers takes over from the one that serves."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr, field_validator


class DeployingSettings(BaseModel):
    """Blue/green deployments (`rag deploy`)."""

    green_ports: str | None = Field(
        None,
        description="gRPC/HTTP port pairs of the green servers of the local stack (`50151/9564,…`); unset: 100 above "
        "those of blue.",
    )
    deploy_steps: str = Field(
        "10,50,100", description="Shares of the requests, in per cent, that a deployment gets one after the other."
    )
    deploy_watch_seconds: float = Field(
        30, ge=0.5, le=3600, description="How long errors and latency are watched after each of these steps."
    )
    deploy_ready_seconds: float = Field(
        180, ge=1, le=3600, description="Time that the servers of a new release have to become ready."
    )
    deploy_failing_seconds: float = Field(
        15,
        ge=0,
        le=3600,
        description="How long servers of a new release may end at every start before it is refused as dead.",
    )
    deploy_burst_requests: int = Field(
        200, ge=10, le=100_000, description="Searches sent to a new release, eight at a time, before it gets traffic."
    )
    deploy_success_percent: float = Field(
        95, gt=0, le=100, description="Calls of a new release that must succeed, in the burst and in each step."
    )
    deploy_latency_seconds: float = Field(
        1.0, gt=0, le=60, description="Latency objective: the 95th percentile of a new release must not be above it."
    )
    deploy_golden_questions: int = Field(
        40, ge=1, le=1000, description="Golden questions put to a new release and to the one that serves, at most."
    )
    deploy_smoke_valid_seconds: float = Field(
        900, ge=0, le=86_400, description="Age of a good smoke test above which a switch repeats it first."
    )
    deploy_grace_seconds: float = Field(
        3600, ge=0, le=604_800, description="How long the colour that lost its traffic is kept for a rollback."
    )
    deploy_credential: SecretStr | None = Field(
        None,
        description="Token or API key (`query.read`) the smoke suite calls with; unset: signed with the local key.",
    )

    deploy_namespace: str = Field("default", min_length=1, description="Kubernetes: namespace of the chart's objects.")
    deploy_objects: str = Field(
        "rag-rag-platform", min_length=1, description="Kubernetes: what the names of the chart's objects begin with."
    )

    @field_validator("deploy_steps")
    @classmethod
    def _rising(cls, value: str) -> str:
        weights = [int(part) if part.strip().isdecimal() else 0 for part in value.split(",")]
        if weights != sorted(set(weights)) or weights[0] < 1 or weights[-1] != 100:
            raise ValueError("rising numbers from 1 to 100, the last of them 100")
        return value

    @property
    def deploy_weights(self) -> list[int]:
        """The steps as numbers."""
        return [int(part) for part in self.deploy_steps.split(",")]
