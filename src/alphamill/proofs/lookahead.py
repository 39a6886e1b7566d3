"""Proof 1: nothing that the product computes for a time changes when the bars after that time do."""

import datetime as dt
from collections.abc import Callable

import polars as pl

from alphamill.bootstrap import model_features
from alphamill.domain.costs import costs_of
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.evaluation.lookahead import Finding, Probe, check_fills, check_probe, cut_points
from alphamill.ingestion import normalise
from alphamill.ports import MarketFeed
from alphamill.proofs.lookahead_decisions import Decisions
from alphamill.proofs.lookahead_probes import Fits, feature_rows, label_rows, newest_rows, training_set
from alphamill.proofs.training_audit import purge_findings
from alphamill.settings import Settings
from alphamill.training.windows import evaluation_windows
from alphamill.validation import require_fit, validate

Tell = Callable[[str], object]


def feed_bars(feed: MarketFeed, calendar: str, now: dt.datetime) -> pl.DataFrame:
    """Validated bars of a feed, none of them after `now`. A feed does not say when a bar arrived: at its close.

    Raises
    ------
    DataUnfit
        The bars are unfit to trade on.
    """
    bars = normalise(feed.read(), source=feed.source, calendar=calendar, ingested_at=now)
    result = validate(bars, calendar=calendar, now=now)
    require_fit(result)
    return result.accepted.with_columns(ingested_at="ts").sort("symbol", "ts")


def check_lookahead(
    settings: Settings, spec: PortfolioSpec, bars: pl.DataFrame, *, cuts: int, seed: int, tell: Tell = lambda _: None
) -> list[Finding]:
    """Compare full history with truncated and perturbed history at many cuts, and check purge and fills.

    Parameters
    ----------
    bars
        `BAR_SCHEMA`; ``ingested_at`` says when a bar arrived.
    tell
        Hears what is being checked.

    Returns
    -------
    One finding per feature, label column, statistic, decision column, split and rule of fills.
    """
    names, horizon = model_features(settings), spec.model.horizon_bars
    moments = cut_points(bars, cuts, seed)
    found: list[Finding] = []

    def probe(kind: str, at: list[dt.datetime], probe: Probe) -> None:
        tell(kind)
        found.extend(check_probe(probe, bars, at, seed))

    probe("features", moments, Probe("feature", feature_rows))
    probe("newest rows", moments, Probe("newest", newest_rows, newest_only=True))
    probe("labels", moments, Probe("label", label_rows(horizon)))
    dataset = training_set(bars, names, horizon)
    found.extend(purge_findings(dataset))
    fits = Fits.of(dataset, evaluation_windows(dataset), seed)
    probe("fits", fits.cuts, Probe("fit", fits))
    decisions = Decisions(spec, names, full=bars)
    probe("decisions", moments, Probe("decision", decisions))
    found.extend(check_fills(decisions.orders, decisions.fills, bars, costs_of(spec.broker)[1]))
    return found
