"""Execution traces (`/debug/pprof/trace`, runtime/trace), Go 1.22 to 1.27.

Law: bytes in, generations of events out; what the events mean is `leaktui.analysis`'s business.
"""

from leaktui.wire.trace.decoder import MAX_TRACE_BYTES, TraceDecoder, looks_like_trace
from leaktui.wire.trace.generation import Event, Generation
from leaktui.wire.trace.tables import Tables

__all__ = ["MAX_TRACE_BYTES", "Event", "Generation", "Tables", "TraceDecoder", "looks_like_trace"]
