"""The journal of a study: durable facts that processes share; nothing is pickled."""

from lossmith.study.journal.address import JOURNAL, is_url, open_journal
from lossmith.study.journal.facts import (
    Claim,
    Decision,
    Facts,
    Record,
    Report,
    Setting,
    State,
    Training,
)
from lossmith.study.journal.sqlite import Journal
from lossmith.study.journal.storage import Storage

__all__ = [
    "JOURNAL",
    "Claim",
    "Decision",
    "Facts",
    "Journal",
    "Record",
    "Report",
    "Setting",
    "State",
    "Storage",
    "Training",
    "is_url",
    "open_journal",
]
