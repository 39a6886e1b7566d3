"""One evaluated model as one record: what the gate judges, the model card quotes and the report shows."""

from collections.abc import Mapping
from typing import Final, Self

import polars as pl
from pydantic import Field

from alphamill.errors import InvalidInput
from alphamill.evaluation.forecast_metrics import ForecastMetrics, forecast_metrics
from alphamill.evaluation.lookahead.audit import Audit
from alphamill.evaluation.performance import Performance
from alphamill.evaluation.records import Record
from alphamill.evaluation.statistics import deflated_sharpe, minimum_track_record, probabilistic_sharpe

MODEL: Final = "model"


class EvaluationSummary(Record):
    """A model's out-of-sample record. Frozen; round-trips through JSON."""

    model_name: str
    architecture: str
    features: tuple[str, ...]
    horizon_bars: int = Field(gt=0)
    data_version: str = Field(description="Version of the bars table behind every number here.")
    run_id: str = ""
    trials: int = Field(ge=1, description="True number of configurations tried.")
    forecast: ForecastMetrics
    performance: Performance = Field(description="Walk-forward backtest of the model, after costs.")
    baselines: dict[str, Performance] = Field(
        default_factory=dict, description="By baseline name, same days and costs."
    )
    baseline_forecasts: dict[str, ForecastMetrics] = Field(default_factory=dict)
    lookahead: Audit | None = Field(
        default=None, description="The model's inputs computed again without later bars; None: that was not done."
    )
    probabilistic_sharpe: float | None = Field(description="P(true Sharpe > 0); None without a Sharpe ratio.")
    deflated_sharpe: float | None = Field(
        description="P(true Sharpe > luck over `trials`); None without a Sharpe ratio."
    )
    minimum_track_record: float | None = Field(
        description="Periods until Sharpe > 0 holds at 95 %; None if it is <= 0."
    )

    @classmethod
    def of(
        cls,
        *,
        model_name: str,
        architecture: str,
        features: tuple[str, ...],
        horizon_bars: int,
        data_version: str,
        trials: int,
        panel: pl.DataFrame,
        performance: Performance,
        baselines: Mapping[str, Performance],
        baseline_panels: Mapping[str, pl.DataFrame] | None = None,
        lookahead: Audit | None = None,
        run_id: str = "",
    ) -> Self:
        """Measure the walk-forward panel and put it beside the backtests.

        Parameters
        ----------
        panel
            Out-of-sample forecasts with labels; see `forecast_metrics`.
        baseline_panels
            The same for baselines that forecast, by baseline name.
        lookahead
            What the look-ahead check found about the rows behind the panel; the gate refuses a model without.

        Raises
        ------
        InvalidInput
            trials < 1.
        DataUnfit
            From `forecast_metrics`.
        """
        if trials < 1:
            raise InvalidInput(f"trials is {trials}.", field="trials", remedy="Count every configuration tried, >= 1.")
        psr, dsr, record = _sharpe_worth(performance, trials)
        return cls(
            model_name=model_name,
            architecture=architecture,
            features=features,
            horizon_bars=horizon_bars,
            data_version=data_version,
            run_id=run_id,
            trials=trials,
            forecast=forecast_metrics(panel, horizon_bars=horizon_bars),
            performance=performance,
            baselines=dict(baselines),
            baseline_forecasts={
                name: forecast_metrics(rows, horizon_bars=horizon_bars)
                for name, rows in (baseline_panels or {}).items()
            },
            lookahead=lookahead,
            probabilistic_sharpe=psr,
            deflated_sharpe=dsr,
            minimum_track_record=record,
        )

    def best_baseline(self) -> tuple[str, Performance] | None:
        """The baseline with the highest Sharpe ratio; None if none has one."""
        rows = [(p.sharpe, name, p) for name, p in self.baselines.items() if p.sharpe is not None]
        return max(rows, key=lambda row: row[0])[1:] if rows else None

    def metrics(self) -> dict[str, float]:
        """Flat numbers for the model card and the tracker; undefined ones are left out."""
        forecast, earned = self.forecast, self.performance
        values: dict[str, float | None] = {
            "ic": forecast.ic.mean,
            "ic_ir": forecast.ic.ir,
            "rank_ic": forecast.rank_ic.mean,
            "rank_ic_ir": forecast.rank_ic.ir,
            "rank_ic_t": forecast.rank_ic.t,
            "pooled_ic": forecast.pooled_ic,
            "accuracy": forecast.sign.accuracy,
            "precision": forecast.sign.precision,
            "recall": forecast.sign.recall,
            "nll": forecast.calibration.nll,
            "brier": forecast.calibration.brier,
            "brier_base_rate": forecast.calibration.brier_base_rate,
            **{f"coverage_{level.nominal * 100:.0f}": level.observed for level in forecast.calibration.coverage},
            "days": float(forecast.days),
            "total_return": earned.total_return,
            "cagr": earned.cagr,
            "volatility": earned.volatility,
            "sharpe": earned.sharpe,
            "max_drawdown": earned.max_drawdown,
            "turnover_per_year": earned.turnover_per_year,
            "probabilistic_sharpe": self.probabilistic_sharpe,
            "deflated_sharpe": self.deflated_sharpe,
        }
        return {name: value for name, value in values.items() if value is not None}


def _sharpe_worth(earned: Performance, trials: int) -> tuple[float | None, float | None, float | None]:
    sharpe, skew, kurtosis = earned.sharpe_per_period, earned.skew, earned.kurtosis
    if sharpe is None or skew is None or kurtosis is None:
        return None, None, None
    return (
        probabilistic_sharpe(sharpe, observations=earned.periods, skew=skew, kurtosis=kurtosis),
        deflated_sharpe(sharpe, trials=trials, observations=earned.periods, skew=skew, kurtosis=kurtosis),
        minimum_track_record(sharpe, skew=skew, kurtosis=kurtosis),
    )
