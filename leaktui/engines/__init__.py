"""Engines: the only floor that touches a process. See `leaktui.engines.protocol`."""
