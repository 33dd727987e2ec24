"""The tables of a journal."""

FORMAT = 3
WHICH = "candidate, learning_rate, variant, fold, twin"  # a training, by its columns
STATES = "state IN ('planned', 'running', 'paused', 'done', 'stopped', 'failed')"


def schema(
    *,
    key: str,
    number: str,
    data: str,
    rowid: str,
    without: str,
    fold: str = "",
    report: str = "",
    evidence: str = "",
) -> list[str]:
    """Return the statements that make the tables of a study.

    Args:
        key, number, data: how a database calls a key that counts up, a number of double precision
            and bytes.
        fold, report, evidence: what else it is to hold of the rows of these tables.
        rowid: the column that counts decisions, where there is none already.
        without: what it says of a table that is kept in the order of its key.
    """
    return [
        f"""CREATE TABLE study (
    format INTEGER NOT NULL,
    spec TEXT NOT NULL,
    digest TEXT NOT NULL,
    created {number} NOT NULL,
    version INTEGER NOT NULL  -- counts what is written
)""",
        f"CREATE TABLE fold (number INTEGER PRIMARY KEY, units {data} NOT NULL{fold})",
        f"""CREATE TABLE training (
    id {key},
    candidate TEXT NOT NULL,
    learning_rate {number} NOT NULL,
    variant INTEGER NOT NULL,
    fold INTEGER NOT NULL,
    twin INTEGER NOT NULL,
    state TEXT NOT NULL CHECK ({STATES}),
    attempt INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    expires {number},
    note TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL,  -- of the study, when this row was written
    UNIQUE ({WHICH})
)""",
        "CREATE INDEX newer ON training (version)",
        "CREATE INDEX waiting ON training (id) WHERE state = 'planned'",
        "CREATE INDEX at_work ON training (id) WHERE state = 'running'",
        f"""CREATE TABLE report (
    training INTEGER NOT NULL REFERENCES training (id),
    epoch INTEGER NOT NULL,
    score {number} NOT NULL,
    seconds {number} NOT NULL,
    at {number} NOT NULL,
    PRIMARY KEY (training, epoch){report}
){without}""",
        # Apart, so that scores are read without it.
        f"""CREATE TABLE evidence (
    training INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    influences {data},
    detail {data},
    PRIMARY KEY (training, epoch){evidence}
)""",
        "CREATE INDEX waits ON report (seconds)",
        f"""CREATE TABLE decision (
    {rowid}name TEXT PRIMARY KEY, outcome TEXT NOT NULL, at {number} NOT NULL
)""",
    ]
