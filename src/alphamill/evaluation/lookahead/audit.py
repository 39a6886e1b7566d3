"""What the look-ahead check found about one model's inputs, as the gate reads it."""

from collections.abc import Sequence
from typing import Self

from alphamill.evaluation.lookahead.findings import Finding
from alphamill.evaluation.records import Record


class Audit(Record):
    """Values that were computed again without later bars, and how many of them changed.

    `uncompared` names what there was nothing to compare for: it proves nothing. `worst` is the largest difference in
    words, empty if there is none.
    """

    compared: int
    differing: int
    uncompared: tuple[str, ...] = ()
    worst: str = ""

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Self:
        """Add up the findings of `check_probe`, `check_purge` and `compare`."""
        found = [finding for finding in findings if finding.worst]
        worst = max(found, key=lambda finding: finding.worst.size if finding.worst else 0.0, default=None)
        return cls(
            compared=sum(finding.compared for finding in findings),
            differing=sum(finding.differing for finding in findings),
            uncompared=tuple(f"{f.kind} {f.name}" for f in findings if not f.compared),
            worst="" if worst is None else f"{worst.kind} {worst.name} of {worst.worst}",
        )

    @property
    def holds(self) -> bool:
        return self.compared > 0 and not self.differing and not self.uncompared

    @property
    def sentence(self) -> str:
        """What it means, for a verdict."""
        if self.differing:
            return (
                f"{self.differing:,} of {self.compared:,} values behind the model change when later bars are left out "
                f"or its rows are computed again, worst {self.worst}: it looks ahead."
            )
        if self.uncompared or not self.compared:
            left = ", ".join(self.uncompared) or "anything"
            return f"Nothing could be compared for {left}: look-ahead is not ruled out."
        return f"{self.compared:,} values behind the model were computed again without later bars: none differs."
