"""Uprobes with BPF programs, from ctypes alone: sites are armed, hits are read.

Law: nothing here stops the target, and nothing outlives our descriptors: when they are closed, by us or by the
kernel at our death, every probe, program and map is gone.
"""
