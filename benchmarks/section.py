"""What one benchmark gives: rows with a ratio and an aim, tables for what lies behind them, and checks."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from benchmarks.measure import Timing

_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6}


@dataclass(frozen=True, slots=True)
class Aim:
    """`of` must be at most `limit`: the ratio ours / peer, or our own figure in the row's unit."""

    limit: float
    of: Literal["ratio", "ours"] = "ratio"
    why: str = ""

    def __str__(self) -> str:
        return f"<= {self.limit:g}{'x' if self.of == 'ratio' else ''}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the page. `ours` and `peer` are times in `unit`; a row without a peer has no ratio."""

    what: str
    ours: float
    unit: str
    against: str = ""
    peer: float | None = None
    aim: Aim | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None

    @property
    def met(self) -> bool | None:
        """None without an aim."""
        if self.aim is None:
            return None
        value = self.ours if self.aim.of == "ours" else self.ratio
        return value is not None and value <= self.aim.limit


def row(
    what: str,
    ours: Timing,
    *,
    against: str = "",
    peer: Timing | None = None,
    aim: Aim | None = None,
    unit: Literal["s", "ms", "us"] = "ms",
    statistic: Literal["median", "p99"] = "median",
) -> Row:
    """A row of two timings of one `interleave`; the statistic is named if it is not the median."""
    scale = _PER_SECOND[unit]
    label = what if statistic == "median" else f"{what}, {statistic}"
    other = None if peer is None else getattr(peer, statistic) * scale
    return Row(label, getattr(ours, statistic) * scale, unit, against, other, aim)


@dataclass(frozen=True, slots=True)
class Table:
    """A table behind the rows, for instance where the time goes. Cells are text."""

    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """The result of one benchmark. `checks` says what was found equal in the same run."""

    rows: Sequence[Row]
    tables: Sequence[Table] = ()
    checks: Sequence[str] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Section":
        rows = [Row(**{**line, "aim": Aim(**line["aim"]) if line["aim"] else None}) for line in content["rows"]]
        return cls(rows, [Table(**table) for table in content["tables"]], content["checks"])


def figure(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 or not value else f"{value:.3g}"
