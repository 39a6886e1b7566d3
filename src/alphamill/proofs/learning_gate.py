"""The gate, tried: models that were really trained, on a market whose signal is known, among them leaked ones."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from alphamill.domain.portfolios import PortfolioSpec, Schedule, Universe
from alphamill.evaluation.baselines import EQUAL_WEIGHT, baseline_specs
from alphamill.evaluation.gate import Gate, GateVerdict, Profile
from alphamill.evaluation.lookahead.probes import Compute
from alphamill.evaluation.summary import EvaluationSummary
from alphamill.features import MODEL_FEATURES, compute, forward_return
from alphamill.proofs.learning_runs import FEATURES, HORIZON, Size, forecasts, market
from alphamill.proofs.training_audit import audit_training
from alphamill.steps.backtest_runs import BacktestJob, Ground, run_backtest_job
from alphamill.training import Dataset, ModelParams, build_dataset

Tell = Callable[[str], object]
GATE_SIZE: Final = Size(names=12, sessions=700)
SIGNAL_IC: Final = 0.15
CAREFUL: Final = ModelParams(batch_size=256, epochs=16)
OVERFITTED: Final = ModelParams(
    architecture="mlp", hidden=(64,), batch_size=128, epochs=24, learning_rate=1e-2, weight_decay=0.0
)
NOTHING: Final = ("ret_1", "ret_5", "rsi_14")
PEEK: Final = "peek"
_BARS: Final = 21


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model to be trained: its rows, where its features came from, and how it is fitted."""

    name: str
    dataset: Dataset
    features: Compute
    params: ModelParams = CAREFUL


@dataclass(frozen=True, slots=True)
class GateTrial:
    """What the gate said, and whether it had to accept."""

    name: str
    against: str
    profile: Profile
    verdict: GateVerdict
    must_accept: bool

    @property
    def holds(self) -> bool:
        return self.verdict.accepted == self.must_accept


def candidates(bars: pl.DataFrame) -> dict[str, Candidate]:
    """Honest models, good and bad, and three leaks that a pipeline may really have."""
    honest = shipped(FEATURES)
    rows = _rows(bars, honest, FEATURES)
    ahead = with_column(_window_one_bar_late)
    target = with_column(_target)
    names = (*FEATURES, PEEK)
    made = (
        Candidate("careful fit", rows, honest),
        Candidate(
            "overfitted network",
            _rows(bars, shipped(MODEL_FEATURES), MODEL_FEATURES),
            shipped(MODEL_FEATURES),
            OVERFITTED,
        ),
        Candidate("features that say nothing", _rows(bars, shipped(NOTHING), NOTHING), shipped(NOTHING)),
        Candidate("leak: window ends a bar late", _rows(bars, ahead, names), ahead),
        Candidate("leak: target in features", _rows(bars, target, names), target),
        Candidate("leak: folds without purge", unpurged(rows), honest),
    )
    return {candidate.name: candidate for candidate in made}


def shipped(names: tuple[str, ...]) -> Compute:
    """The product's own features."""
    return lambda bars, _: compute(bars, names)


def with_column(column: Callable[[], pl.Expr]) -> Compute:
    """The product's own features and a planted one named `PEEK`."""

    def planted(bars: pl.DataFrame, _: object) -> pl.DataFrame:
        extra = bars.sort("symbol", "ts").select("symbol", "ts", column().over("symbol").alias(PEEK))
        return compute(bars, FEATURES).join(extra, on=["symbol", "ts"], validate="1:1")

    return planted


def _window_one_bar_late() -> pl.Expr:
    """The return over 21 bars that ends at the next close: an index off by one."""
    return pl.col("close").shift(-1) / pl.col("close").shift(_BARS - 1) - 1.0


def _target() -> pl.Expr:
    return pl.col("open").shift(-1 - HORIZON) / pl.col("open").shift(-1) - 1.0


def unpurged(dataset: Dataset) -> Dataset:
    """Labels that claim to be known one bar later: only so do the splits let them reach into a test window."""
    step = np.diff(np.unique(dataset.ts)).min()
    return replace(dataset, horizon_bars=1, label_end=dataset.ts + step)


def _rows(bars: pl.DataFrame, features: Compute, names: tuple[str, ...]) -> Dataset:
    labelled = features(bars, bars["ts"].max()).join(  # type: ignore[arg-type]
        forward_return(bars, HORIZON), on=["symbol", "ts"], validate="1:1"
    )
    return build_dataset(labelled, names, horizon_bars=HORIZON, data_version="bars@1")


def measured(candidate: Candidate, bars: pl.DataFrame, seed: int) -> EvaluationSummary:
    """Audit, walk forward and backtest a candidate, as the evaluate step does."""
    audit = audit_training(bars, candidate.dataset, candidate.features, horizon_bars=HORIZON, seed=seed)
    panel = forecasts(candidate.dataset, seed, candidate.params)
    spec = PortfolioSpec(
        name="gate-trial",
        universe=Universe(symbols=tuple(bars["symbol"].unique().sort())),
        schedule=Schedule(every_bars=HORIZON),
    )
    ground = Ground(bars, compute(bars, FEATURES), "bars@1")
    # The trader asks the forecaster with the shipped features; what the panel came from is another matter.
    run = run_backtest_job(ground, candidate.name, BacktestJob(spec, panel, FEATURES))
    equal = run_backtest_job(ground, EQUAL_WEIGHT, BacktestJob(baseline_specs(spec)[EQUAL_WEIGHT], panel, FEATURES))
    return EvaluationSummary.of(
        model_name=candidate.name,
        architecture=candidate.params.architecture,
        features=candidate.dataset.features,
        horizon_bars=HORIZON,
        data_version="bars@1",
        trials=1,
        panel=panel,
        performance=run.performance,
        baselines={EQUAL_WEIGHT: equal.performance},
        lookahead=audit,
    )


def try_gate(seed: int, tell: Tell = lambda _: None) -> list[GateTrial]:
    """A better model must be accepted; a worse, a random and a leaked one must not."""
    bars = market(GATE_SIZE, SIGNAL_IC, seed).bars
    made: dict[str, EvaluationSummary] = {}
    for name, candidate in candidates(bars).items():
        tell(f"the gate: {name}")
        made[name] = measured(candidate, bars, seed)
    careful, overfitted, nothing, *leaks = made

    def trial(name: str, champion: str | None, profile: Profile, *, must_accept: bool) -> GateTrial:
        verdict = Gate(profile).judge(made[name], made[champion] if champion else None)
        return GateTrial(name, champion or "no champion", profile, verdict, must_accept)

    return [
        trial(careful, overfitted, "paper", must_accept=True),
        trial(overfitted, careful, "paper", must_accept=False),
        trial(nothing, careful, "paper", must_accept=False),
        trial(nothing, None, "live", must_accept=False),
        *(trial(leak, careful, "paper", must_accept=False) for leak in leaks),
    ]
