"""PostgreSQL: engine, migrations, tables, locks, bulk copies and typed driver errors.

The SQL of each concept is in the `store.py` of its own room.
"""

from rag_core.database import locks, roles
from rag_core.database.copy import FEW_ROWS, copy_rows, is_storable, storable
from rag_core.database.driver_errors import recovering, refused_login
from rag_core.database.engine import HEAD, Store, limit_transaction, open_store, upgrade
from rag_core.database.keyset import page_of
