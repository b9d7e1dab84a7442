from .files import SPACE_RESERVE as SPACE_RESERVE
from .index import EdgeIndex as EdgeIndex
from .layout import graph_fingerprint as graph_fingerprint
from .optimizer import background_optimizer as background_optimizer
