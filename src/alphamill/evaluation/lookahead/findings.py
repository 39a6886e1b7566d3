"""What a comparison found: how much was compared, how much differed, and the worst of it."""

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True, slots=True)
class Worst:
    """The largest difference, in words: `size` is absolute, infinite where one side has no number."""

    symbol: str
    at: dt.datetime
    what: str
    size: float

    def __str__(self) -> str:
        return f"{self.symbol} {self.at:%Y-%m-%d}: {self.what}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the check. A check that compared nothing proves nothing, so it does not hold."""

    kind: str
    name: str
    cuts: int
    compared: int
    differing: int
    worst: Worst | None = None

    @property
    def holds(self) -> bool:
        return self.compared > 0 and self.differing == 0


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Findings of one kind and name added up over their cuts, in order of first appearance."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.kind, finding.name), []).append(finding)
    return [
        Finding(
            kind,
            name,
            sum(f.cuts for f in parts),
            sum(f.compared for f in parts),
            sum(f.differing for f in parts),
            max((f.worst for f in parts if f.worst), key=lambda worst: worst.size, default=None),
        )
        for (kind, name), parts in groups.items()
    ]


def compare(kind: str, full: pl.DataFrame, known: pl.DataFrame) -> list[Finding]:
    """Every value of two frames keyed by (symbol, ts), exactly: one finding per column.

    A row that one side lacks counts as null there. Two nulls are not a comparison.
    """
    both = full.join(known, on=["symbol", "ts"], how="full", coalesce=True, suffix="_known", validate="1:1")
    return [_column(kind, name, both) for name in full.columns if name not in ("symbol", "ts")]


def _column(kind: str, name: str, both: pl.DataFrame) -> Finding:
    left, right = pl.col(name), pl.col(f"{name}_known")
    pairs = both.select("symbol", "ts", left.alias("full"), right.alias("known"))
    compared = pairs.filter(pl.col("full").is_not_null() | pl.col("known").is_not_null())
    differing = compared.filter(pl.col("full").ne_missing(pl.col("known")))
    return Finding(kind, name, 0, compared.height, differing.height, _worst(differing))


def _worst(differing: pl.DataFrame) -> Worst | None:
    if differing.is_empty():
        return None
    sizes = _sizes(differing["full"].to_list(), differing["known"].to_list())
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    symbol, at, full, known = differing.row(largest)
    return Worst(symbol, at, f"{_text(full)} with later bars, {_text(known)} without", sizes[largest])


def _sizes(full: Sequence[Any], known: Sequence[Any]) -> list[float]:
    return [
        abs(a - b) if isinstance(a, float) and isinstance(b, float) and math.isfinite(a - b) else math.inf
        for a, b in zip(full, known, strict=True)
    ]


def _text(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
