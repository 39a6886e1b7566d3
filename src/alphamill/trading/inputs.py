"""Gather what a decision needs; whatever cannot be trusted becomes a refusal with a reason."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from alphamill.domain.decisions import Refusal
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, Forecasts, ModelSignature
from alphamill.domain.portfolios import ModelRef, PortfolioSpec
from alphamill.domain.signature import feature_matrix
from alphamill.domain.venues import Capabilities
from alphamill.errors import AlphamillError, InvalidFeatures, ModelMismatch
from alphamill.features.staleness import require_fresh
from alphamill.ports import Forecaster
from alphamill.trading.approval import require_approved
from alphamill.trading.newest import SessionFeatures


@dataclass(frozen=True, slots=True)
class DecisionInputs:
    """The one answer to act on, the snapshots it was asked about, and the symbols left alone.

    `answer` is None where no model answered, or one that the portfolio does not expect: then the decision names none.
    """

    answer: Forecasts | None
    snapshots: tuple[FeatureSnapshot, ...]
    refusals: tuple[Refusal, ...]

    @property
    def forecasts(self) -> tuple[Forecast, ...]:
        """Rows of the answer; empty without one."""
        return self.answer.rows if self.answer else ()


def gather(
    spec: PortfolioSpec,
    symbols: Sequence[str],
    at: dt.datetime,
    features: SessionFeatures,
    forecaster: Forecaster,
    venue: Capabilities,
) -> DecisionInputs:
    """Online features, staleness guard, forecasts. A part that is down refuses every symbol it serves.

    The model may be switched at any moment of this. The signature asked for first tells which features to read, and
    nothing else: what answered is read from the answer, and refused if it is not what the portfolio expects, or if the
    gate has not approved it for the venue.
    """
    try:
        began = forecaster.signature()
        _require_expected(spec.model, began)
        require_approved(began, venue)
        online = features.read_online(symbols, began.features)
    except AlphamillError as error:
        return DecisionInputs(None, (), refuse_all(symbols, error))
    max_age = dt.timedelta(seconds=spec.risk.max_feature_age_secs)
    fresh, refusals = require_fresh(online, symbols, at, max_age)
    if not fresh:
        return DecisionInputs(None, (), tuple(refusals))
    try:
        answer = _ask(spec.model, began, fresh, forecaster)
        require_approved(answer.signature, venue)
    except AlphamillError as error:
        down = refuse_all([snapshot.symbol for snapshot in fresh], error)
        return DecisionInputs(None, tuple(fresh), (*refusals, *down))
    return DecisionInputs(answer, tuple(fresh), tuple(refusals))


def refuse_all(symbols: Sequence[str], error: AlphamillError) -> tuple[Refusal, ...]:
    """One refusal per symbol, carrying the error's code."""
    return tuple(Refusal(symbol, error.code, str(error)) for symbol in symbols)


def _ask(
    expected: ModelRef, began: ModelSignature, snapshots: Sequence[FeatureSnapshot], forecaster: Forecaster
) -> Forecasts:
    try:
        answer = forecaster.forecast(snapshots)
    except InvalidFeatures as error:
        # Snapshots that the model of the beginning would take were refused: another one was asked.
        feature_matrix(began, snapshots)
        raise ModelMismatch(
            f"{_named(began)} told which features to read, and is not what answers: {error}",
            field="model.version",
            remedy="The next session reads the features of the model that is deployed by then.",
        ) from error
    _require_expected(expected, answer.signature, began)
    unread = set(answer.signature.features).difference(began.features)
    if unread:
        raise ModelMismatch(
            f"{_named(answer.signature)} answered on {', '.join(sorted(unread))}; read was what {_named(began)} "
            "asks for.",
            field="model.version",
            remedy="The next session reads the features of the model that is deployed by then.",
        )
    return answer


def _require_expected(expected: ModelRef, answers: ModelSignature, began: ModelSignature | None = None) -> None:
    """Raises `ModelMismatch` for another horizon, or another version than the pinned one."""
    switched = f", after {_named(began)} had been asked" if began and began != answers else ""
    if answers.horizon_bars != expected.horizon_bars:
        raise ModelMismatch(
            f"{_named(answers)} answers{switched}; the portfolio asks for {expected.horizon_bars} bars.",
            field="model.horizon_bars",
            remedy="Deploy a model of that horizon or change the portfolio.",
        )
    if expected.version not in (None, answers.version):
        raise ModelMismatch(
            f"{_named(answers)} answers{switched}; the portfolio pins version {expected.version}.",
            field="model.version",
            remedy="Deploy that version or change the portfolio.",
        )


def _named(signature: ModelSignature) -> str:
    return f"{signature.model_id} ({signature.horizon_bars} bars ahead)"
