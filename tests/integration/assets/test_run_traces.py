"""A Dagster run is one trace, from its listing to its index writes."""

from __future__ import annotations

import dagster as dg
import pytest

from rag_assets.components import DocumentSource
from rag_assets.lib.naming import job_name
from rag_assets.resources import PIPELINE, TRACE_TAG, pipeline_resource
from tests.integration.assets.conftest import Chain
from tests.support.traces import parent_of, recorded

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("tags", [{}, {TRACE_TAG: parent_of(TRACE)}], ids=["its own", "of who asked for it"])
def test_a_run_is_traced_from_the_listing_to_the_index(chain: Chain, tags: dict[str, str]) -> None:
    chain.write("a.md", "# Zeppelins\n\nThey are moored at noon.")
    chain.definitions()  # writes the file of the source
    own = dg.Definitions(resources={PIPELINE: pipeline_resource(chain.settings)})
    bound = dg.Definitions.merge(DocumentSource(chain.config).build_defs(), own)
    with recorded() as traces:
        result = bound.resolve_job_def(job_name(chain.config)).execute_in_process(instance=chain.instance, tags=tags)
        assert result.success
        spans = traces.exporter.get_finished_spans()
        (trace_id,) = {f"{one.context.trace_id:032x}" for one in spans}
        run = f"run {job_name(chain.config)}"
        traces.assert_ancestors(traces.named(trace_id, "index write"), "stage index", run)
        traces.assert_ancestors(traces.named(trace_id, "stage documents: list"), run)
        assert (traces.named(trace_id, run).attributes or {})["rag.run_id"] == result.run_id
        assert not tags or trace_id == TRACE
        assert "Zeppelin" not in "".join(one.to_json() for one in spans)
