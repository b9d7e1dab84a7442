"""The first run of a source accounts for every item, however late its listing begins and whatever their names."""

from __future__ import annotations

import unicodedata

import pytest

from rag_assets.connectors import open_connector
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.source_config import SourceConfig
from rag_core.content.sources import Scope
from rag_core.ingestion.pipeline import account, run_pipeline
from tests.support.generations import GenerationHarness
from tests.support.pipeline import PipelineHarness
from tests.support.s3 import Bucket
from tests.support.sites import POLICY

EARLY = "rag_core.content.sources.listings.EARLY_SECONDS"


@pytest.mark.parametrize("names", ["similar", "odd"])
@pytest.mark.catalogue("A31")
def test_every_small_object_of_a_bucket_that_is_slow_to_begin_is_in_its_first_run(
    flow: PipelineHarness, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    bucket = Bucket.made()
    keys = [f"manuals/motor-{number}.md" for number in range(15)]
    if names == "odd":
        twins = [unicodedata.normalize(form, "odd/café.md") for form in ("NFC", "NFD")]
        keys = ["odd/a\nb.md", "odd/a%0Ab.md", "odd/a/b.md", "odd/a%2Fb.md", "odd/a%252Fb.md", *twins]
    bucket.put_many({key: f"Motor {number} needs oil every {number + 2} days." for number, key in enumerate(keys)})
    attributes = {"name": "docs", "tenant": "acme", "acl": ["everyone"], "options": bucket.options()}
    config = SourceConfig.model_validate(attributes)
    # The first key comes after the time that a run waits for more of them, and its document fills the first round.
    flow.settings = flow.settings.model_copy(update={"first_round_chars": 1})
    monkeypatch.setattr(EARLY, 0.0)

    def check(_: object) -> dict[str, str]:
        monkeypatch.setattr(EARLY, 3600.0)
        return {}

    harness, scope = GenerationHarness(flow), Scope(config.source, "run-0")
    harness.ensure()
    with open_connector(config, ConnectorContext(fetch_policy=POLICY)) as connector:
        run_pipeline(harness, scope, connector=connector, check=check)
    counts = account(flow.store, scope)
    served = [key for key in keys if "\n" not in key]  # moto lists the others and answers 404: vanished
    assert counts.balanced
    assert (counts.read, counts.indexed, counts.skipped) == (len(keys), len(served), len(keys) - len(served))
