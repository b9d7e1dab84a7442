from .erase import erase as erase, reapply as reapply
from .tenant import erase_tenant as erase_tenant, sweep_erased as sweep_erased
