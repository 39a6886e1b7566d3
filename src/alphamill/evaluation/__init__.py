"""Stage 6 and 7: is the model any good, and may it trade?"""

from alphamill.evaluation.baselines import baseline_specs, momentum_panel
from alphamill.evaluation.forecast_metrics import ForecastMetrics
from alphamill.evaluation.gate import Gate, GateVerdict
from alphamill.evaluation.performance import Performance, drawdown_curve, periodic_returns
from alphamill.evaluation.summary import EvaluationSummary
from alphamill.evaluation.thresholds import Thresholds

__all__ = [
    "EvaluationSummary",
    "ForecastMetrics",
    "Gate",
    "GateVerdict",
    "Performance",
    "Thresholds",
    "baseline_specs",
    "drawdown_curve",
    "momentum_panel",
    "periodic_returns",
]
