"""The look-ahead check that every model passes before the gate: its own rows, features, labels and folds."""

import datetime as dt
from typing import Final

import numpy as np
import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.evaluation.lookahead import Audit, Finding, Probe, check_probe, check_purge, compare, cut_points
from alphamill.evaluation.lookahead.probes import Compute
from alphamill.features import forward_return
from alphamill.proofs.lookahead_probes import label_rows
from alphamill.training import Dataset, WalkForward, build_dataset
from alphamill.training.windows import evaluation_windows, tuning_rows, tuning_windows

CUTS: Final = 6


def audit_training(bars: pl.DataFrame, dataset: Dataset, features: Compute, *, horizon_bars: int, seed: int) -> Audit:
    """Does anything behind a model know more than it could have known?

    Features and labels are computed again at `CUTS` cuts of the history, on the bars known by then and on bars
    whose future was replaced. The rows themselves must be the ones that the bars give, label ends included, and no
    training label may reach into a test window.

    Parameters
    ----------
    bars
        `BAR_SCHEMA`. A bar counts as known at its close.
    dataset
        The rows that the model is trained and judged on.
    features
        How the features came from bars: symbol, ts and at least the columns of `dataset`.
    horizon_bars
        What the labels are supposed to span.
    """
    bars = bars.with_columns(ingested_at="ts")
    moments = cut_points(bars, CUTS, seed)

    def asked(known: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
        return features(known, cut).select("symbol", "ts", *dataset.features)

    return Audit.of(
        [
            *check_probe(Probe("feature", asked), bars, moments, seed),
            *check_probe(Probe("label", label_rows(horizon_bars)), bars, moments, seed),
            *purge_findings(dataset),
            *_rows(bars, dataset, asked(bars, moments[-1]), horizon_bars),
        ]
    )


def _rows(bars: pl.DataFrame, dataset: Dataset, features: pl.DataFrame, horizon_bars: int) -> list[Finding]:
    labelled = features.join(forward_return(bars, horizon_bars), on=["symbol", "ts"], validate="1:1")
    again = build_dataset(labelled, dataset.features, horizon_bars=horizon_bars)
    return compare("training row", _frame(dataset), _frame(again))


def _frame(dataset: Dataset) -> pl.DataFrame:
    columns = {name: dataset.x[:, i] for i, name in enumerate(dataset.features)}
    ends = pl.Series("label_end_ts", dataset.label_end).cast(UTC_TS)
    return dataset.keys().with_columns(
        *(pl.Series(name, values) for name, values in columns.items()), pl.Series("label", dataset.y), ends
    )


def purge_findings(dataset: Dataset) -> list[Finding]:
    """No training label reaches into a test window: of evaluation, of tuning, and of the one after the other."""
    judged, tuned = evaluation_windows(dataset), tuning_rows(dataset)
    test = dataset.take(judged.split(dataset)[0].test_rows)
    ts, ends = np.concatenate([tuned.ts, test.ts]), np.concatenate([tuned.label_end, test.label_end])
    tuned_then_judged = [(np.arange(len(tuned)), np.arange(len(tuned), len(ts)))]
    return [
        _folds("evaluation folds", dataset, judged),
        _folds("tuning folds", tuned, tuning_windows(tuned)),
        check_purge("tuning before evaluation", ts, ends, tuned_then_judged),
    ]


def _folds(name: str, dataset: Dataset, windows: WalkForward) -> Finding:
    folds = [(fold.train_rows, fold.test_rows) for fold in windows.split(dataset)]
    return check_purge(name, dataset.ts, dataset.label_end, folds)
