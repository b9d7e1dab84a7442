"""The parts of a tenant outside of database and index: source files, questions, runs; and the erasing of tenants."""

from rag_assets.tenants.erasing import continue_erasures
from rag_assets.tenants.files import outside, tenant_files
