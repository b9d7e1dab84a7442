from . import locks as locks, roles as roles
from .checkout import replace_closed as replace_closed
from .copy import FEW_ROWS as FEW_ROWS, copy_rows as copy_rows, is_storable as is_storable, storable as storable
from .dead_peers import client_limits as client_limits, notice_dead_peers as notice_dead_peers
from .driver_errors import recovering as recovering, refused_login as refused_login
from .engine import (
    HEAD as HEAD,
    Store as Store,
    limit_transaction as limit_transaction,
    open_store as open_store,
    upgrade as upgrade,
)
from .keyset import page_of as page_of
