from . import wire as wire, wire_payloads as wire_payloads
from .index import MAX_RESPONSE_BYTES as MAX_RESPONSE_BYTES, RemoteIndex as RemoteIndex, from_status as from_status
from .wire import SECRET_KEY as SECRET_KEY
from .wire_filters import (
    filter_from_wire as filter_from_wire,
    filter_to_wire as filter_to_wire,
    moment_from_wire as moment_from_wire,
)
