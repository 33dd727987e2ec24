"""What the doctor says: findings, each a line with its evidence and its remedy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lossmith.printable import printable

Severity = Literal["error", "warning", "note"]
ORDER: tuple[Severity, ...] = ("error", "warning", "note")
SOUND = "nothing wrong was found"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong in a training set-up.

    severity: "error" where training can't come out right, "warning" where it probably doesn't,
    "note" where it is worth a look. evidence: what was seen. remedy: what to change.

    >>> print(Finding(name="rows", severity="note", evidence="there are 3", remedy="get more"))
    note: rows: there are 3; get more
    """

    name: str
    severity: Severity
    evidence: str
    remedy: str

    def __str__(self) -> str:
        text = f"{self.severity}: {self.name}: {self.evidence}; {self.remedy}"
        return printable(" ".join(text.split()))


class Findings(tuple[Finding, ...]):
    """Findings, the gravest first; printed, a line each.

    >>> Findings()
    nothing wrong was found
    """

    __slots__ = ()

    def __new__(cls, found: Iterable[Finding] = ()) -> "Findings":
        """Return them in order of severity."""
        return super().__new__(cls, sorted(found, key=lambda one: ORDER.index(one.severity)))

    @property
    def names(self) -> list[str]:
        """The names of what was found."""
        return [finding.name for finding in self]

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or SOUND

    __repr__ = __str__
