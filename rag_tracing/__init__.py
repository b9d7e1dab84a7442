"""OpenTelemetry traces of every process. Off, and free, unless an `OTEL_*` variable says where they go.

Nothing of OpenTelemetry is imported while they are off: then `span` costs a comparison. No text of questions, documents
or errors is recorded; `content()` says whether an installation has switched that on.
"""

from rag_tracing import openinference
from rag_tracing.destination import Destination, destination_of
from rag_tracing.spans import (
    CLIENT,
    CONSUMER,
    INTERNAL,
    NOTHING,
    PRODUCER,
    SERVER,
    Span,
    carried,
    consume,
    content,
    current_ids,
    entry,
    exemplar,
    outgoing,
    recording,
    span,
    traceparent,
)
from rag_tracing.startup import start_tracing, stop_tracing
