"""Bars of sessions that were settled already: late ones, and others than before. Whoever wrote them, one rule.

- History takes them at once: every later decision, its features and its covariance see the corrected bars.
- What happened stays: fills, orders, decisions and NAV points of settled sessions are not written again.
- A late bar of the newest settled session brings its split or dividend to the books, and a NAV point of that session.
- A split or dividend that a correction changes touches no position: the venue has booked what it has booked. The
  person is told, and the comparison of books stops trading where the two disagree.
"""

import polars as pl

from alphamill.domain.bars import BAR_KEY, BAR_VALUES
from alphamill.features.history import BarHistory
from alphamill.monitoring.alerts import Alert

_FACTORS = ("price_factor", "split_factor")
#: Bars that an alert names one by one.
_NAMED = 5


def corrected(history: BarHistory, bars: pl.DataFrame) -> pl.DataFrame:
    """Those of `bars` (`BAR_SCHEMA`) that history has with other values, with the old ones as ``old_<name>``."""
    known = [symbol for symbol in bars["symbol"].unique() if symbol in history.symbols]
    frames = []
    for symbol in known:
        window = history.window(symbol)
        old = {f"old_{name}": getattr(window, name) for name in BAR_VALUES}
        frames.append(pl.DataFrame({"symbol": symbol, "ts": window.ts, **old}))
    if not frames:
        return bars.head(0)
    before = pl.concat(frames).with_columns(pl.col("ts").cast(bars.schema["ts"]))
    joined = bars.join(before, on=list(BAR_KEY), how="inner")
    return joined.filter(pl.any_horizontal(pl.col(name) != pl.col(f"old_{name}") for name in BAR_VALUES))


def correction_alert(changed: pl.DataFrame, held: set[str], data_version: str) -> Alert | None:
    """What a person is told of `corrected` bars; `held` are symbols that some portfolio holds."""
    if changed.is_empty():
        return None
    rows = changed.sort("ts", "symbol").rows(named=True)
    lines = [f"- {row['symbol']} {row['session']}: {_differences(row)}" for row in rows[:_NAMED]]
    if len(rows) > _NAMED:
        lines.append(f"- and {len(rows) - _NAMED} more")
    booked = [row for row in rows if row["symbol"] in held and any(row[n] != row[f"old_{n}"] for n in _FACTORS)]
    lines += [
        f"{row['symbol']} is held and its split or dividend of {row['session']} is another one now: no position was "
        "changed for it. Compare with the venue."
        for row in booked
    ]
    text = "\n".join(lines)
    return Alert(
        f"{len(rows)} bars of settled sessions were corrected",
        f"Decisions use them from {data_version} on; fills, orders and NAV points stay as they are.\n{text}",
    )


def _differences(row: dict[str, object]) -> str:
    changed = (name for name in BAR_VALUES if row[name] != row[f"old_{name}"])
    return ", ".join(f"{name} {row[f'old_{name}']} -> {row[name]}" for name in changed)
