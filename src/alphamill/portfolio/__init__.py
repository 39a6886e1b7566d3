"""Stage 9: forecasts become signals and target weights."""

from alphamill.portfolio.forecast_signals import signals
from alphamill.portfolio.sizing import target_weights

__all__ = ["signals", "target_weights"]
