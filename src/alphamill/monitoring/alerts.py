"""Which events tell a person, and in which words. Pure: each function returns an `Alert` or None."""

from collections.abc import Sequence
from dataclasses import dataclass

from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.orders import Position
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import ForecasterUnavailable, MissingFeatures, ModelMismatch, StaleFeatures

_MEANING = {
    TradingState.ACTIVE: "It trades again.",
    TradingState.REDUCING: "It only closes or shrinks positions.",
    TradingState.HALTED: "It sends no orders. Positions stay as they are.",
}
_NO_FEATURES = {StaleFeatures("").code, MissingFeatures("").code}
_NO_FORECASTER = ForecasterUnavailable("").code
_OTHER_MODEL = ModelMismatch("").code


@dataclass(frozen=True, slots=True)
class Alert:
    """What a person is told: a line for the lock screen and the text below it."""

    title: str
    body: str


def state_changed(portfolio: str, before: TradingState, after: TradingState, reason: str) -> Alert | None:
    """The trading state is another one."""
    if before is after:
        return None
    return Alert(f"{portfolio} is now {after}", f"Was {before}. Reason: {reason}. {_MEANING[after]}")


def reconciliation_differs(portfolio: str, differences: Sequence[str]) -> Alert | None:
    """Ledger and broker disagree."""
    if not differences:
        return None
    return Alert(
        f"{portfolio}: ledger and broker disagree",
        "No order is sent until they agree.\n" + "\n".join(f"- {difference}" for difference in differences),
    )


def delisted(portfolio: str, position: Position) -> Alert:
    """A symbol stopped trading while it was held."""
    return Alert(
        f"{portfolio}: {position.symbol} is delisted",
        f"The position of {position.quantity:f} shares was settled in cash, as universe.delistings says.",
    )


def features_unusable(decision: Decision, spec: PortfolioSpec) -> Alert | None:
    """Not one symbol of the universe had fresh and complete features."""
    refused = {r.symbol: r.detail for r in decision.refusals if r.code in _NO_FEATURES}
    gone = {r.symbol for r in decision.refusals if r.code == "DELISTED"}
    symbols = [symbol for symbol in spec.universe.symbols if symbol not in gone]
    if not symbols or not all(symbol in refused for symbol in symbols):
        return None
    first = symbols[0]
    return Alert(
        f"{decision.portfolio}: no usable features",
        f"At {decision.decided_at:%Y-%m-%d %H:%M} UTC all {len(symbols)} symbols were stale or missing, "
        f"for example {first}: {refused[first]}. Positions are held. Check ingestion and the online store.",
    )


def forecaster_down(decision: Decision) -> Alert | None:
    """The decision had to do without forecasts."""
    refusal = next((r for r in decision.refusals if r.code == _NO_FORECASTER), None)
    if refusal is None:
        return None
    return Alert(
        f"{decision.portfolio}: the forecaster does not answer",
        f"At {decision.decided_at:%Y-%m-%d %H:%M} UTC: {refusal.detail} Positions are held. Check the model server.",
    )


def other_model(decision: Decision) -> Alert | None:
    """A model answers that the portfolio does not expect."""
    refusal = next((r for r in decision.refusals if r.code == _OTHER_MODEL), None)
    if refusal is None:
        return None
    return Alert(
        f"{decision.portfolio}: another model answers than the one expected",
        f"At {decision.decided_at:%Y-%m-%d %H:%M} UTC: {refusal.detail} Positions are held.",
    )


def of_decision(decision: Decision, spec: PortfolioSpec) -> list[Alert]:
    """All alerts one decision gives rise to."""
    alerts = (features_unusable(decision, spec), forecaster_down(decision), other_model(decision))
    return [alert for alert in alerts if alert is not None]
