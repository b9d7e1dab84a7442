"""PostgreSQL: engine, migrations, tables, locks, bulk copies and typed driver errors.

The SQL of each concept is in the `store.py` of its own room.
"""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
