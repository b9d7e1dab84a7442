from .repair import rebuild as rebuild, repair as repair
from .report import GRAPH as GRAPH, Finding as Finding, FindingKind as FindingKind, VerifyReport as VerifyReport
from .selftest import self_test as self_test
from .sources import SourceComparison as SourceComparison, verify_source as verify_source
from .verifier import verify as verify
