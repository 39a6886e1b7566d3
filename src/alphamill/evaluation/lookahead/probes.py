"""The entry points of the check. What they are given is the product's own code, never a copy of it."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.domain.costs import Slippage
from alphamill.domain.orders import Fill, Order
from alphamill.evaluation.lookahead.cuts import known_at, perturbed_after
from alphamill.evaluation.lookahead.findings import Finding, Worst, compare, merged

#: From bars and a cut to a frame with symbol, ts and one column per value. Rows after the cut are ignored.
Compute = Callable[[pl.DataFrame, dt.datetime], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that must not look ahead.

    Parameters
    ----------
    compute
        Called with all bars, with the bars known at the cut, and with all bars of which the unknown ones
        were replaced. The three answers must agree, bit for bit, on every row up to the cut.
    newest_only
        `compute` of the bars known at the cut answers the newest row of each symbol only.
    """

    kind: str
    compute: Compute
    newest_only: bool = False


def check_probe(probe: Probe, bars: pl.DataFrame, cuts: Sequence[dt.datetime], seed: int) -> list[Finding]:
    """Truncate and perturb at every cut; one finding per column of the probe."""
    found: list[Finding] = []
    for number, cut in enumerate(cuts):
        full = _up_to(probe.compute(bars, cut), cut)
        variants = [known_at(bars, cut)]
        if not probe.newest_only:
            variants.append(perturbed_after(bars, cut, seed + number))
        for counted, variant in enumerate(variants):
            known = _up_to(probe.compute(variant, cut), cut)
            expected = full.join(known, on=["symbol", "ts"], how="semi") if probe.newest_only else full
            parts = compare(probe.kind, expected, known)
            # Both variants belong to one cut.
            found += [Finding(p.kind, p.name, int(counted == 0), p.compared, p.differing, p.worst) for p in parts]
    return merged(found)


def check_purge(
    name: str,
    ts: npt.NDArray[np.int64],
    label_end: npt.NDArray[np.int64],
    folds: Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
) -> Finding:
    """No training label may end at or after the first close of its test window.

    Parameters
    ----------
    ts, label_end
        Microseconds since the epoch, by row of the data set.
    folds
        Training and test rows of each fold.
    """
    compared = differing = count = 0
    worst: Worst | None = None
    for train, test in folds:
        first_test = int(ts[test].min())
        over = train[label_end[train] >= first_test]
        count, compared, differing = count + 1, compared + len(train), differing + len(over)
        if len(over):
            row = over[np.argmax(label_end[over])]
            days = float(label_end[row] - first_test) / 86_400e6
            what = f"label ends {_time(label_end[row]):%Y-%m-%d}, test begins {_time(first_test):%Y-%m-%d}"
            late = Worst("training row", _time(ts[row]), what, days)
            worst = late if worst is None or days > worst.size else worst
    return Finding("purge", name, count, compared, differing, worst)


def check_fills(
    orders: Iterable[Order], fills: Iterable[Fill], bars: pl.DataFrame, slippage: Slippage
) -> list[Finding]:
    """Every fill lies in a session after its decision, at that session's open within the slippage."""
    sessions = dict(bars.select("ts", "session").unique().iter_rows())
    opens = {(symbol, day): price for symbol, day, price in bars.select("symbol", "session", "open").iter_rows()}
    decided = {order.id: sessions[order.decided_at] for order in orders}
    after: list[tuple[Fill, float, str]] = []
    priced: list[tuple[Fill, float, str]] = []
    count = 0
    for fill in fills:
        count += 1
        day = fill.filled_at.date()
        if day <= decided[fill.order_id]:
            after.append((fill, float((decided[fill.order_id] - day).days), f"decided {decided[fill.order_id]}"))
        price = Decimal(str(opens[fill.symbol, day]))
        # Half a cent of rounding of the fill price on top.
        allowed = abs(slippage.fill_price(fill.side, price) - price) + Decimal("0.005")
        if abs(fill.price - price) > allowed:
            priced.append((fill, float(abs(fill.price - price)), f"open {price}"))
    return [_fills("after the decision's bar", count, after), _fills("at the open of its own bar", count, priced)]


def _fills(name: str, count: int, wrong: Sequence[tuple[Fill, float, str]]) -> Finding:
    worst = None
    if wrong:
        fill, size, what = max(wrong, key=lambda entry: entry[1])
        worst = Worst(fill.symbol, fill.filled_at, f"filled at {fill.price:.6g}, {what}", size)
    return Finding("fill", name, 0, count, len(wrong), worst)


def _up_to(frame: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
    return frame.filter(pl.col("ts") <= cut)


def _time(micros: int) -> dt.datetime:
    when: dt.datetime = pl.Series([int(micros)]).cast(UTC_TS)[0]
    return when
