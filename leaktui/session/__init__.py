"""The conductor: runs the engines, folds what they yield into Snapshots, keeps a bounded history."""

from leaktui.session.conductor import CADENCE, Session
from leaktui.session.events import ProgressMade, SessionEvent, SnapshotTaken, TargetExited
from leaktui.session.history import History, Metric, Point

__all__ = [
    "CADENCE",
    "History",
    "Metric",
    "Point",
    "ProgressMade",
    "Session",
    "SessionEvent",
    "SnapshotTaken",
    "TargetExited",
]
