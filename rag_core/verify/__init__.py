"""Verification: compare the index with PostgreSQL, and PostgreSQL with the sources; repair the index."""

from rag_core.verify.repair import rebuild, repair
from rag_core.verify.report import Finding, VerifyReport
from rag_core.verify.selftest import self_test
from rag_core.verify.sources import SourceReport, verify_source
from rag_core.verify.verifier import verify
