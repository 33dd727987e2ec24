"""The journal of a study: the facts of its trainings, durable, shared by processes, never pickled."""

from lossmith.study.journal.facts import Claim, Decision, Facts, Record, Report, Setting, Training
from lossmith.study.journal.sqlite import Journal
from lossmith.study.journal.storage import Storage

__all__ = [
    "Claim",
    "Decision",
    "Facts",
    "Journal",
    "Record",
    "Report",
    "Setting",
    "Storage",
    "Training",
]
