"""The probe engine: opens and closes, paired by kernel uprobes while the target runs.

It is `engine.ProbesEngine`. Nothing is imported here: the keeper (`kernel.keeper`) starts with as little as can be.
"""
