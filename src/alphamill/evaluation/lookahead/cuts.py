"""Where history is cut, and what stands in for the bars after the cut."""

import datetime as dt
from typing import Final

import numpy as np
import polars as pl

from alphamill.errors import DataUnfit

#: Cuts lie in the newer part of the history: before this share of it little is known yet.
FIRST_SHARE: Final = 0.25
_PRICES: Final = ("open", "high", "low", "close")


def cut_points(bars: pl.DataFrame, cuts: int, seed: int) -> list[dt.datetime]:
    """Close times at which history is cut: up to half of them where leaks hide, the others at random.

    Leaks hide in a gap of one symbol, at a bar that arrived late, and right before a split or dividend. The
    newest bar is never a cut: at least one bar comes after each.

    Raises
    ------
    DataUnfit
        There are fewer sessions than cuts.
    """
    closes = bars["ts"].unique().sort()
    usable = closes[int(len(closes) * FIRST_SHARE) : -1]
    if len(usable) < cuts:
        raise DataUnfit(
            f"{len(closes)} sessions are too few for {cuts} cuts.", field="cuts", remedy="Take fewer, or more history."
        )
    rng = np.random.default_rng(seed)
    hard = [group.filter(group.is_in(usable.implode())) for group in _hard_spots(bars, closes)]
    chosen = [pick for group in hard for pick in _draw(rng, group, max(1, cuts // 6))]
    chosen = list(dict.fromkeys(chosen))[: max(1, cuts // 2)]
    rest = usable.filter(~usable.is_in(chosen))
    return sorted([*chosen, *_draw(rng, rest, cuts - len(chosen))])


def known_at(bars: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
    """Bars closed and arrived by `cut`."""
    return bars.filter(_known(cut))


def perturbed_after(bars: pl.DataFrame, cut: dt.datetime, seed: int) -> pl.DataFrame:
    """The same keys, but every bar that was not known at `cut` has other valid numbers.

    Prices take a random walk of 5 % a bar, volume another scale, and each symbol splits 2:1 at its first
    bar after the cut. Whatever still says the same about times up to the cut did not look past it.
    """
    bars = bars.sort("symbol", "ts")
    rng = np.random.default_rng(seed)
    unknown = ~_known(cut)
    steps = pl.Series("_step", rng.normal(0.0, 0.05, bars.height))
    split = pl.when(unknown.cum_sum().over("symbol") == 1).then(0.5).otherwise(1.0)
    moved = pl.when(unknown).then(pl.col("_step")).otherwise(0.0).cum_sum().over("symbol").exp() * 0.5
    others = [
        *(pl.col(name) * moved for name in _PRICES),
        (pl.col("volume") * (pl.col("_step") * 20.0).exp()).round(),
        split.alias("price_factor"),
        split.alias("split_factor"),
    ]
    names = (*_PRICES, "volume", "price_factor", "split_factor")
    replaced = [
        pl.when(unknown).then(other).otherwise(pl.col(name)).alias(name)
        for name, other in zip(names, others, strict=True)
    ]
    return bars.with_columns(steps).with_columns(replaced).drop("_step")


def _known(cut: dt.datetime) -> pl.Expr:
    return (pl.col("ts") <= cut) & (pl.col("ingested_at") <= cut)


def _hard_spots(bars: pl.DataFrame, closes: pl.Series) -> list[pl.Series]:
    """Closes in gaps, at late bars, and the ones right before a corporate action."""
    span = bars.group_by("symbol").agg(first=pl.col("ts").min(), last=pl.col("ts").max())
    grid = span.join(closes.rename("ts").to_frame(), how="cross").filter(pl.col("ts").is_between("first", "last"))
    gaps = grid.join(bars, on=["symbol", "ts"], how="anti")["ts"]
    late = bars.filter(pl.col("ingested_at") > pl.col("ts"))["ts"]
    actions = bars.filter(pl.col("price_factor") != 1.0)["ts"].unique()
    at = closes.search_sorted(actions)
    before = closes.gather(at.filter(at > 0) - 1) if len(actions) else actions
    return [group.unique().sort() for group in (gaps, late, before)]


def _draw(rng: np.random.Generator, closes: pl.Series, count: int) -> list[dt.datetime]:
    picks = rng.permutation(len(closes))[:count]
    return [closes[int(pick)] for pick in picks]
