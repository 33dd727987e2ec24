"""The journal of a study: the facts of its trainings, durable, shared by processes, never pickled."""

from lossmith.study.journal.facts import Claim, Facts, Report, Setting, Training
from lossmith.study.journal.sqlite import Journal
from lossmith.study.journal.storage import Storage

__all__ = ["Claim", "Facts", "Journal", "Report", "Setting", "Storage", "Training"]
