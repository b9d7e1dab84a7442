"""The parts of a tenant outside of database and index: source files, questions, runs; and the erasing of tenants."""

from rag_assets.tenants.files import continue_erasures, outside, tenant_files
