"""The configured streams: the push inbox, and the topics of the source files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from rag_assets.config import read_sources
from rag_assets.connectors import fetch_policy
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.base import StreamSource
from rag_assets.stream_worker.inbox import InboxSource
from rag_core.content.sources import Scope
from rag_core.database import Store
from rag_core.ingestion.pipeline import configure_source
from rag_core.settings import Settings

INBOX = "inbox"
INBOX_LARGE = "inbox-large"
Open = Callable[[], StreamSource]


def kafka_configs(settings: Settings, *, consume: str | None = None) -> list[SourceConfig]:
    """The enabled Kafka sources, of one way of consuming or of both."""
    return [
        config
        for config in read_sources(settings.effective_sources_dir).sources
        if isinstance(config.options, KafkaOptions) and config.enabled and consume in (None, config.options.consume)
    ]


def openers(
    store: Store, settings: Settings, configs: Iterable[SourceConfig], *, split: bool = False
) -> dict[str, Open]:
    """Return how each stream is opened, by name. Opening registers the source and may raise what connecting raises.

    With `split` large pushes are a stream of their own, for a thread of its own.
    """
    made: dict[str, Open] = {INBOX: lambda: InboxSource(store, settings, large=False if split else None)}
    if split:
        made[INBOX_LARGE] = lambda: InboxSource(store, settings, large=True)
    for config in configs:
        made[f"kafka:{config.name}"] = partial(open_kafka, config, store, settings)
    return made


def open_kafka(config: SourceConfig, store: Store, settings: Settings) -> StreamSource:
    """The topic of one source. Raises `ConfigError` (`SECRET_MISSING`) when a secret it names is not set, and what
    `fetch_policy` and `require_brokers` raise."""
    # Imported here: most installations have no Kafka source, and the client's library is large.
    from rag_assets.stream_worker.kafka.source import KafkaSource

    options = config.options
    assert isinstance(options, KafkaOptions)  # noqa: S101
    configure_source(store, Scope(config.source, "stream"), settings)
    return KafkaSource(options, config.source, store, settings, fetch_policy(config, settings))
