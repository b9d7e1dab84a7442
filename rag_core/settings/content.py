"""Settings of ingestion: fetching, parsing, checks, chunking and indexing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from rag_core.settings.allowances import SourceAllowance
from rag_core.settings.fields import Port


class ContentSettings(BaseModel):
    """Settings of text, external hosts, pipeline, streams, generations and alerts."""

    model_config = ConfigDict(defer_build=True)  # `Settings` alone is built

    # --- text ------------------------------------------------------------------------------------------------
    chunk_tokens: int = Field(
        200, ge=16, le=500, description="Target size of a chunk in model tokens, heading context included."
    )
    chunk_overlap: int = Field(
        0,
        ge=0,
        le=250,
        description="Tokens of the previous chunk repeated at the start of the next, at sentence borders.",
    )
    chunk_context: bool = Field(
        True, description="Whether title and headings are embedded, and found by words, with each chunk under them."
    )
    max_file_bytes: int = Field(50_000_000, ge=1, description="Larger files are quarantined without being read.")
    max_text_chars: int = Field(20_000_000, ge=1, description="Longer extracted text is quarantined.")
    max_chunks: int = Field(20_000, ge=1, description="A document with more chunks is quarantined.")
    parser_timeout_seconds: float = Field(30, gt=0, le=600, description="Time allowed to one sandboxed parse.")
    parser_memory_mb: int = Field(
        1024, ge=256, description="Address space of one parser sandbox; the libraries alone take about 150."
    )
    ocr: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Character recognition of scans and images. `auto`: where the packages of `rag-platform[ocr]` are "
        "installed; `on` refuses to start without them.",
    )
    ocr_language: Literal["auto", "en", "zh"] = Field(
        "auto", description="What is expected in pictures of text; `auto` decides for each page."
    )
    ocr_workers: int = Field(1, ge=1, le=16, description="Pages recognized at once, each in a sandbox of one thread.")
    ocr_memory_mb: int = Field(
        3072, ge=1536, description="Address space of one such sandbox; the libraries and models take about 1500."
    )
    ocr_page_seconds: float = Field(120, gt=0, le=600, description="Time allowed to one page.")
    ocr_document_seconds: float = Field(
        900, gt=0, le=36_000, description="Time after which the other pages of a document are left out."
    )
    ocr_max_pages: int = Field(200, ge=1, le=10_000, description="Pages recognized of one document.")
    parser_workers: int = Field(
        2, ge=1, le=64, description="Parser sandboxes that run at once; so many documents are chunked at once, too."
    )
    parser_attempts: int = Field(
        3, ge=1, le=20, description="Runs in which a failing document is tried before it stays quarantined."
    )

    # --- external hosts --------------------------------------------------------------------------------------
    fetch_allow_networks: str = Field(
        "", description="Networks (CIDR, separated by commas) that sources may reach although they are not public."
    )
    fetch_ports: str = Field(
        "80,443,8080,8443", description="Ports and spans of ports (`8000-8999`) that sources may reach, with commas."
    )
    fetch_timeout_seconds: float = Field(
        60, gt=0, le=3600, description="Time allowed to one request of a source, redirects and body included."
    )
    own_hosts: str = Field(
        "",
        description="Further hosts of the platform's own parts (`host` or `host:port`, with commas), which no source "
        "and no webhook reaches. What other settings name and the ports of the local stack are refused anyway; Compose "
        "and the chart set it to the names of their services.",
    )
    fetch_max_redirects: int = Field(5, ge=0, le=20, description="Redirects followed for one request of a source.")

    # --- pipeline --------------------------------------------------------------------------------------------
    sources_dir: Path | None = Field(
        None, description="Folder of further source files (`*.yaml`); `rag up` uses `$RAG_HOME/sources`."
    )
    directories_dir: Path | None = Field(
        None, description="Folder of directories of people and groups (`*.yaml`); without it `$RAG_HOME/directories`."
    )
    source_allowances: dict[str, SourceAllowance] = Field(
        {},
        description="What administrators of a tenant may add sources for, as JSON by tenant: "
        '`{"acme": {"roots": ["/srv/acme"], "hosts": ["*.acme.example"], "secrets": ["env:RAG_SECRET_ACME_*"]}}`. '
        "A tenant that is not named: only the scope `platform.admin` adds sources for it.",
    )
    sources_gitlab_url: str | None = Field(
        None,
        description="GitLab from which a read-only folder of source files comes: adding or changing a source opens a "
        "merge request there. Unset: the file to commit is shown.",
    )
    sources_gitlab_project: str = Field("", description="Its project: a number, or a path such as `platform/sources`.")
    sources_gitlab_branch: str = Field("main", description="Branch that the merge request is for.")
    sources_gitlab_folder: str = Field("", description="Folder of the source files in the project; empty: its root.")
    sources_gitlab_token: SecretStr | None = Field(
        None, description="Project access token with the scope `api` and the role Developer."
    )
    source_operation_seconds: float = Field(
        60, ge=5, le=600, description="Time allowed to test, preview, create or change a source; deletions get tenfold."
    )
    sync_batch_documents: int = Field(200, ge=1, le=10000, description="Documents read and committed together.")
    sync_batch_bytes: int = Field(32_000_000, ge=1, description="Extracted bytes in memory before a commit.")
    first_round_chars: int = Field(
        12_000, ge=100, description="Text of the first round of a run, about a second of embedding on two cores."
    )
    round_seconds: float = Field(
        20, gt=0, le=600, description="How long the rounds of a run grow: read, embed and index, then the next one."
    )
    source_wait_seconds: float = Field(
        30, ge=0, le=3600, description="How long a run waits for another run of the same source shard."
    )
    delete_guard_fraction: float = Field(
        0.2, gt=0, le=1, description="Deletions are held when a listing would delete more than this share of a source."
    )
    delete_guard_minimum: int = Field(
        6, ge=1, description="Fewer deletions than this are not held, unless the listing is empty; they are reported."
    )
    max_concurrent_runs: int = Field(
        6, ge=1, le=1000, description="Dagster runs at once. They take turns at embedding (`RAG_EMBEDDING_RUNS`)."
    )
    embedding_runs: int = Field(
        1, ge=1, le=1000, description="Runs that embed at the same time; one uses a whole machine."
    )
    dagster_yaml: Path | None = Field(
        None, description="Instance configuration a container uses instead of the generated one."
    )
    code_location_host: str = Field("127.0.0.1", description="Where the Dagster code location is served.")
    event_retention_days: int = Field(30, ge=1, description="Age at which Dagster events and ticks are purged.")

    # --- documents and streams -------------------------------------------------------------------------------
    max_document_bytes: int = Field(
        2_900_000, ge=1, description="Largest content of one pushed document (REST carries it in base64)."
    )
    keep_pushed_originals: bool = Field(
        True, description="Keep pushed PDFs and images, so that citations of them can show the page."
    )
    inbox_max_pending: int = Field(
        100_000, ge=1, description="Pushed changes that may wait at once; beyond it a push gets INBOX_FULL."
    )
    inbox_max_pending_of_tenant: int = Field(
        25_000, ge=1, description="Of these, how many may be one tenant's; beyond it its pushes get INBOX_FULL."
    )
    inbox_retention_hours: int = Field(
        48, ge=1, description="How long applied pushes are remembered, and so their idempotency keys."
    )
    max_concurrent_document_calls: int = Field(8, ge=1, description="Document calls in progress at once.")
    max_queued_document_calls: int = Field(128, ge=0, description="Length of their queue.")
    stream_batch_events: int = Field(64, ge=1, le=10_000, description="Changes in one micro-batch at most.")
    stream_batch_bytes: int = Field(16_000_000, ge=1, description="Bytes of content in one micro-batch, about.")
    stream_large_bytes: int = Field(
        32_768,
        ge=1024,
        description="Pushed documents with more bytes are applied by a reader of their own, one at a time, so that no"
        " other waits for them.",
    )
    stream_quick_seconds: float = Field(
        1, gt=0, le=60, description="Time to parse a pushed document before it is left to the reader of large ones."
    )
    stream_linger_ms: int = Field(
        0,
        ge=0,
        le=60_000,
        description="How long a micro-batch waits for more after its first change. What arrives while a batch is"
        " applied is the next one, so waiting only saves flushes of the index.",
    )
    stream_attempts: int = Field(3, ge=1, le=20, description="Tries before a change becomes a dead letter.")
    stream_poison_fraction: float = Field(
        0.2, gt=0, le=1, description="A stream stops when more than this share of its last messages is unusable."
    )
    stream_poison_window: int = Field(100, ge=10, le=100_000, description="How many messages that share is taken of.")
    stream_metrics_port: Port = Field(9466, description="Stream worker: /metrics and /health over HTTP.")
    stream_heartbeat_seconds: float = Field(5, gt=0, le=300, description="Time between two heartbeats of a worker.")
    stream_reconcile_seconds: float = Field(
        60, gt=0, le=86_400, description="Interval between two searches for accepted changes that are still pending."
    )
    stream_report_seconds: float = Field(
        30, ge=0, le=3600, description="Time between two summaries of a worker to Dagster; 0 for none."
    )
    stream_canary_seconds: float = Field(
        60, ge=0, le=86_400, description="Time between two canary documents that measure the way in; 0 for none."
    )
    stream_sources: bool = Field(
        True,
        description="Whether the stream worker applies small changes of listed sources (folders, tables, buckets, sites"
        " …) within seconds. False: Dagster's sensor starts a run for each change.",
    )
    stream_source_threads: int = Field(
        2, ge=1, le=64, description="Listed sources that a stream worker looks at, or brings in, at once."
    )
    stream_source_items: int = Field(
        300,
        ge=1,
        description="Changed items of a listed source that a stream worker brings in; more are left to a run.",
    )
    stream_source_bytes: int = Field(2_000_000, ge=1, description="The same in bytes.")
    stream_drain_seconds: float = Field(20, ge=0, le=600, description="Time a worker gets to finish at SIGTERM.")

    # --- index generations -----------------------------------------------------------------------------------
    erasure_folder: Path | None = Field(None, description="Folder of the erasure ledger; unset: `$RAG_HOME`.")
    golden_dir: Path | None = Field(
        None,
        description="Folder of golden sets that evaluate a generation; unset: `$RAG_HOME/golden` and the bundled set.",
    )
    embed_price: float = Field(
        0, ge=0, description="Price of embedding a million tokens, in any currency; a build's forecast uses it."
    )
    build_confirm_texts: int = Field(
        5_000, ge=0, description="A build that must embed more texts asks for confirmation (`--yes`)."
    )
    build_confirm_cost: float = Field(1, ge=0, description="A build that costs more asks for confirmation (`--yes`).")
    build_slice_seconds: float = Field(
        2, gt=0, le=60, description="A build lets live runs of a source shard in at least this often."
    )
    build_max_slowdown: float = Field(
        2,
        ge=1,
        description="While clients call, a build pauses when searches take more than this many times their usual time.",
    )
    build_max_pause_seconds: float = Field(
        10, ge=0, le=300, description="Longest pause between two slices of a build; 0 switches the throttle off."
    )
    gate_tolerance: float = Field(
        0.01, ge=0, le=1, description="A generation may lose this much nDCG@10 on the golden sets and still pass."
    )
    gate_answer_tolerance: float = Field(
        0.03,
        ge=0,
        le=1,
        description="By how much the share of your own questions that are answered well, or whose source is found, may "
        "fall before a generation is refused; a fall that chance explains never refuses one.",
    )
    gate_max_questions: int = Field(
        300, ge=0, description="Of your own questions, the gate and the daily evaluation ask so many of each tenant."
    )
    generation_grace_hours: float = Field(
        72, ge=0, description="How long a generation that readers left is kept up to date for a rollback."
    )
    promote_successors: bool = Field(
        True,
        description="Promote the successor of a generation that this release cannot compute any more as soon as it "
        "passes the gate. Without enough golden questions the other checks decide.",
    )
    promote_wait_seconds: float = Field(
        15, ge=0, le=300, description="How long a promotion waits for query servers to load the new query model."
    )

    # --- evaluation ------------------------------------------------------------------------------------------
    questions_dir: Path | None = Field(
        None,
        description="Folder of your own questions (`*.yaml`, `*.jsonl`; those of a tenant other than `default` in a "
        "subfolder of its name); unset: `$RAG_HOME/questions`.",
    )
    evaluation_max_questions: int = Field(5000, ge=1, le=1_000_000, description="Questions of one file at most.")
    evaluation_keep_runs: int = Field(50, ge=2, description="Runs that are kept over the same questions.")
    evaluation_retention_days: int = Field(
        365, ge=1, description="Age at which a run is deleted, unless later ones are compared with it."
    )
    feedback_retention_days: int = Field(
        180, ge=1, description="Age at which ratings, and proposed questions that nobody accepted, are deleted."
    )
    history_days: int = Field(
        14,
        ge=0,
        le=400,
        description="Days that the hourly figures of traffic and pipeline and the questions without an answer are "
        "kept; 0: nothing is recorded.",
    )
    unanswered_questions: Literal["hashed", "plain", "off"] = Field(
        "hashed",
        description="How questions that got no answer are kept: as keyed hashes, which only show how often each was "
        "asked, in plain text for those with the scope `admin`, or not at all. A tenant can have a switch of its own "
        "(`rag tenant questions`). Plain texts are deleted when it is changed.",
    )
    feedback_answers: Literal["hashed", "plain"] = Field(
        "hashed",
        description="How the text of a rated answer is kept: as a hash, which recognises a second rating of it, or in "
        "plain text, for exports. It quotes documents. Plain texts are deleted when it is changed.",
    )
    feedback_per_hour: int = Field(60, ge=1, description="Answers that one caller may rate within an hour.")

    # --- alerts ----------------------------------------------------------------------------------------------
    alert_webhook_url: SecretStr | None = Field(
        None, description="URL that receives alerts as signed JSON (it may hold a token, so it is kept secret)."
    )
    alert_webhook_secret: SecretStr | None = Field(
        None, description="Key of the webhook's HMAC-SHA256 signature, at least 32 characters."
    )
    webhook_secret: SecretStr | None = Field(
        None,
        description="Derives the signing secret of every webhook, alike for all processes. Unset: there are no "
        "webhooks.",
    )
    webhook_secret_accepted: SecretStr | None = Field(
        None, description="Further such secrets, with commas: messages are signed with them too; for a rotation."
    )
    webhook_timeout_seconds: float = Field(15, gt=0, le=60, description="Time allowed to one message of a webhook.")
    webhook_max_attempts: int = Field(9, ge=1, le=50, description="Tries to deliver an event before it has failed.")
    webhook_retry_hours: int = Field(
        24, ge=1, le=168, description="An event that could not be delivered for so long has failed."
    )
    webhook_overlap_hours: int = Field(
        24, ge=0, le=720, description="How long messages are also signed with the secret before a rotation."
    )
    webhook_log_days: int = Field(
        14, ge=1, le=400, description="Age at which events and the log of their deliveries are deleted."
    )
    webhook_log_rows: int = Field(
        200_000,
        ge=100,
        description="Events in the log of one webhook, sent or waiting. The oldest beyond it are deleted each minute; "
        "those never sent are counted in the audit log (`webhook.drop`).",
    )
    webhook_poll_seconds: float = Field(
        1, gt=0, le=60, description="How often the stream worker asks for events that are due."
    )
    alertmanager_url: str | None = Field(None, description="Base URL of an Alertmanager that receives alerts.")
    alert_timeout_seconds: float = Field(10, gt=0, le=60, description="Time allowed to one alert message.")
    alert_interval_seconds: int = Field(60, ge=10, le=3600, description="Interval between two evaluations.")

    @property
    def stream_lost_seconds(self) -> float:
        """Seconds without a heartbeat after which a stream worker is taken for dead: three are missed."""
        return 3 * self.stream_heartbeat_seconds
