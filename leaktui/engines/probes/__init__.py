"""The probe engine: opens and closes, paired by kernel uprobes while the target runs."""

from leaktui.engines.probes.engine import ProbesEngine

__all__ = ["ProbesEngine"]
