"""Quality of documents and sources: rules, measures, history and quarantine."""

from rag_core.quality import quarantine_read_store, quarantine_store, store
from rag_core.quality.documents import assess_text
from rag_core.quality.quarantine_read_store import Quarantined, Wanted, page
from rag_core.quality.quarantine_store import AFTER_STORE, BEFORE_STORE, Entry, discard, redrive
from rag_core.quality.rules import RULES, QualityPolicy, Severity
from rag_core.quality.sources import Assessment, assess
from rag_core.quality.store import Findings, Latest, Result
