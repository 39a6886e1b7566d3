"""Gather what a decision needs; whatever cannot be trusted becomes a refusal with a reason."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from alphamill.domain.decisions import Refusal
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, ModelSignature
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.domain.venues import Capabilities
from alphamill.errors import AlphamillError, InvalidConfig
from alphamill.features.staleness import require_fresh
from alphamill.ports import Forecaster
from alphamill.trading.approval import require_approved
from alphamill.trading.newest import SessionFeatures


@dataclass(frozen=True, slots=True)
class DecisionInputs:
    """Forecasts to act on, the snapshots behind them, and the symbols left alone."""

    signature: ModelSignature | None
    snapshots: tuple[FeatureSnapshot, ...]
    forecasts: tuple[Forecast, ...]
    refusals: tuple[Refusal, ...]


def gather(
    spec: PortfolioSpec,
    symbols: Sequence[str],
    at: dt.datetime,
    features: SessionFeatures,
    forecaster: Forecaster,
    venue: Capabilities,
) -> DecisionInputs:
    """Online features, staleness guard, forecasts. A part that is down refuses every symbol it serves.

    So does a model that the gate has not approved for the venue.
    """
    try:
        signature = forecaster.signature()
        _require_horizon(spec, signature)
        require_approved(signature, venue)
        online = features.read_online(symbols, signature.features)
    except AlphamillError as error:
        return DecisionInputs(None, (), (), refuse_all(symbols, error))
    max_age = dt.timedelta(seconds=spec.risk.max_feature_age_secs)
    fresh, refusals = require_fresh(online, symbols, at, max_age)
    if not fresh:
        return DecisionInputs(signature, (), (), tuple(refusals))
    try:
        forecasts = forecaster.forecast(fresh)
    except AlphamillError as error:
        down = refuse_all([snapshot.symbol for snapshot in fresh], error)
        return DecisionInputs(signature, tuple(fresh), (), (*refusals, *down))
    return DecisionInputs(signature, tuple(fresh), tuple(forecasts), tuple(refusals))


def refuse_all(symbols: Sequence[str], error: AlphamillError) -> tuple[Refusal, ...]:
    """One refusal per symbol, carrying the error's code."""
    return tuple(Refusal(symbol, error.code, str(error)) for symbol in symbols)


def _require_horizon(spec: PortfolioSpec, signature: ModelSignature) -> None:
    if signature.horizon_bars != spec.model.horizon_bars:
        raise InvalidConfig(
            f"model {signature.name}-{signature.version} forecasts {signature.horizon_bars} bars ahead, "
            f"the portfolio asks for {spec.model.horizon_bars}.",
            field="model.horizon_bars",
            remedy="Deploy a model of that horizon or change the portfolio.",
        )
